"""What blocks: reads of keys to come, queues, barriers, and their timeouts."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any

import pytest

from rendezvous_core.ports.errors import RendezvousTimeoutError
from rendezvous_core.ports.store import QueueEmptyError, Store
from rendezvous_core.testing.suites.store_fixtures import StoreFixtures
from rendezvous_core.testing.suites.threads import is_blocked, start, together


class StoreWaiting(StoreFixtures):
    """Every method that blocks."""

    # Keys

    def test_get_blocks_until_the_key_exists(self, store: Store, other: Store) -> None:
        """``get`` waits for a missing key, and returns soon after another client's write."""
        reading = start(store.get, "key")
        assert is_blocked(reading, self.moment)
        other.set("another", b"no")
        other.set("key", b"value")
        assert reading.result(self.patience) == b"value"

    @pytest.mark.parametrize("write", ["set", "add", "append", "compare_set", "multi_set"])
    def test_every_write_ends_a_wait(self, store: Store, other: Store, write: str) -> None:
        """A key may come to be in any way; who waits for it is told."""
        writes: dict[str, Callable[[], object]] = {
            "set": lambda: other.set("key", b"1"),
            "add": lambda: other.add("key", 1),
            "append": lambda: other.append("key", b"1"),
            "compare_set": lambda: other.compare_set("key", b"", b"1"),
            "multi_set": lambda: other.multi_set(["key"], [b"1"]),
        }
        reading = start(store.get, "key")
        assert is_blocked(reading, self.moment / 4)
        writes[write]()
        assert reading.result(self.patience) == b"1"

    def test_a_wait_goes_on_while_others_look(self, store: Store, other: Store) -> None:
        """Whoever looks at a missing key, or compares its value in vain, ends nobody's wait for it."""
        waiting, reading = start(store.wait, ["key"]), start(store.get, "key")
        assert is_blocked(waiting, self.moment / 4)
        other.peek_all(["key"])
        other.compare_set("key", b"expected", b"desired")
        assert is_blocked(waiting, self.moment)
        assert is_blocked(reading, self.moment)
        other.set("key", b"value")
        waiting.result(self.patience)
        assert reading.result(self.patience) == b"value"

    def test_get_runs_out_of_time(self, store: Store) -> None:
        """``get`` raises `RendezvousTimeoutError`, naming the key, after the timeout of the store."""
        store.set("there", b"")
        store.set_timeout(self.moment)
        self._runs_out_of_time(partial(store.get, "the-key"), "the-key")
        assert store.get("there") == b""

    def test_get_of_a_deleted_key_blocks(self, store: Store, other: Store) -> None:
        """A key that was deleted is missing."""
        store.set("key", b"old")
        other.delete_key("key")
        reading = start(store.get, "key")
        assert is_blocked(reading, self.moment)
        other.set("key", b"new")
        assert reading.result(self.patience) == b"new"

    def test_wait_blocks_until_all_keys_exist(self, store: Store, other: Store) -> None:
        """``wait`` returns when the last of the keys has come, in whatever order."""
        other.set("one", b"")
        waiting = start(store.wait, ["one", "two", "three"])
        assert is_blocked(waiting, self.moment)
        other.set("three", b"")
        assert is_blocked(waiting, self.moment)
        other.set("two", b"")
        waiting.result(self.patience)

    def test_wait_for_what_is_there(self, store: Store, other: Store) -> None:
        """``wait`` for keys that exist, or for none, returns at once."""
        other.multi_set(["one", "two"], [b"", b"2"])
        for keys in (["one"], ["two", "one"], []):
            start(store.wait, keys).result(self.patience)

    @pytest.mark.parametrize("of", [float, timedelta])
    def test_wait_runs_out_of_time(self, store: Store, of: type[float] | type[timedelta]) -> None:
        """``wait`` takes a timeout of its own, and the error names the keys that are missing."""
        store.set("there", b"")
        timeout = self.moment if of is float else timedelta(seconds=self.moment)
        self._runs_out_of_time(
            partial(store.wait, ["there", "missing-one", "missing-two"], timeout),
            "missing-one",
            "missing-two",
        )

    def test_wait_without_a_timeout_of_its_own(self, store: Store) -> None:
        """``wait`` without a timeout takes that of the store."""
        store.set_timeout(timedelta(seconds=self.moment))
        self._runs_out_of_time(partial(store.wait, ["key"]), "key")

    @pytest.mark.parametrize("timeout", [0, -1, timedelta(0)], ids=str)
    def test_wait_for_no_time_looks_once(
        self, store: Store, other: Store, timeout: float | timedelta
    ) -> None:
        """A timeout of zero or less does not block: keys that exist are found, others are an error."""
        other.set("key", b"")
        start(store.wait, ["key"], timeout).result(self.patience)
        error = start(store.wait, ["key", "missing-one"], timeout).exception(self.patience)
        assert isinstance(error, RendezvousTimeoutError), f"got {error!r}"
        assert "missing-one" in str(error)

    def test_multi_get_blocks_until_all_keys_exist(self, store: Store, other: Store) -> None:
        """``multi_get`` waits for the last of its keys."""
        other.set("one", b"1")
        reading = start(store.multi_get, ["two", "one"])
        assert is_blocked(reading, self.moment)
        other.set("two", b"2")
        assert reading.result(self.patience) == [b"2", b"1"]
        store.set_timeout(self.moment)
        self._runs_out_of_time(partial(store.multi_get, ["one", "missing-one"]), "missing-one")

    def test_all_who_wait_are_told(self, connect: Callable[..., Store]) -> None:
        """One write ends the waits of all clients, and of all threads of one client."""
        clients = [connect() for _ in range(self.racers - 1)]
        reading = [start(client.get, "key") for client in [*clients, clients[0]]]
        assert all(is_blocked(each, self.moment / self.racers) for each in reading)
        clients[1].set("key", b"value")
        assert [each.result(self.patience) for each in reading] == [b"value"] * self.racers

    def test_a_wait_holds_up_nothing(self, store: Store) -> None:
        """While threads wait, others use the same client, and end the waits through it."""
        reading, waiting = start(store.get, "key"), start(store.wait, ["key"])
        assert is_blocked(reading, self.moment)
        start(store.set, "another", b"value").result(self.patience)
        assert start(store.get, "another").result(self.patience) == b"value"
        assert start(store.add, "number", 1).result(self.patience) == 1
        assert is_blocked(waiting, self.moment)
        start(store.set, "key", b"value").result(self.patience)
        assert reading.result(self.patience) == b"value"
        waiting.result(self.patience)

    def test_timeout_of_the_store(self, store: Store) -> None:
        """The timeout is read as a ``timedelta``; it must be positive."""
        store.set_timeout(1.5)
        assert store.timeout == timedelta(seconds=1.5)
        store.set_timeout(timedelta(minutes=1))
        assert store.timeout == timedelta(minutes=1)
        for impossible in (0, -1.0, timedelta(0)):
            with pytest.raises(ValueError, match="positive"):
                store.set_timeout(impossible)
        assert store.timeout == timedelta(minutes=1)

    @pytest.mark.parametrize(
        "timeout",
        ["5", None, float("nan"), 1e10, timedelta.max],
        ids=["text", "nothing", "nan", "large", "timedelta"],
    )
    def test_what_is_no_timeout(self, store: Store, timeout: Any) -> None:
        """What is no number of seconds, or more of them than anything can wait for, is refused."""
        store.set("key", b"")
        calls: list[Callable[[], object]] = [partial(store.set_timeout, timeout)]
        if timeout is not None:
            calls += [partial(store.wait, ["key"], timeout), partial(store.barrier, "barrier", 1, timeout)]
            calls += [partial(store.queue_pop, "queue", timeout=timeout)]
        for call in calls:
            error = start(call).exception(self.patience)
            assert isinstance(error, TypeError | ValueError), f"{call} led to {error!r}"
            assert "timeout" in str(error)

    def test_the_longest_timeout(self, store: Store, other: Store) -> None:
        """31 years, which some give for ever, can be waited for."""
        store.set_timeout(1e9)
        reading, popping = start(store.get, "key"), start(store.queue_pop, "queue")
        waiting = start(store.wait, ["key"], 1e9)
        assert is_blocked(reading, self.moment)
        other.set("key", b"value")
        other.queue_push("queue", b"value")
        waiting.result(self.patience)
        assert reading.result(self.patience) == popping.result(self.patience) == b"value"

    # Queues

    def test_queue_keeps_the_order(self, store: Store, other: Store) -> None:
        """What was pushed first is popped first, by any client, and once."""
        items = [b"one", b"", b"\0\xff", b"one"]
        for item in items:
            store.queue_push("queue", item)
        assert other.queue_len("queue") == len(items)
        assert [other.queue_pop("queue") for _ in items] == items
        assert store.queue_len("queue") == other.queue_len("queue") == 0

    def test_queue_pop_blocks_until_a_push(self, store: Store, other: Store) -> None:
        """``queue_pop`` waits for an item, and takes it when it comes."""
        popping = start(store.queue_pop, "queue")
        assert is_blocked(popping, self.moment)
        other.queue_push("queue", "item")
        assert popping.result(self.patience) == b"item"

    def test_queue_pop_runs_out_of_time(self, store: Store) -> None:
        """``queue_pop`` raises `RendezvousTimeoutError`, naming the queue."""
        self._runs_out_of_time(partial(store.queue_pop, "the-queue", timeout=self.moment), "the-queue")
        store.set_timeout(self.moment)
        self._runs_out_of_time(partial(store.queue_pop, "the-queue"), "the-queue")

    def test_empty_queue(self, store: Store) -> None:
        """With ``block=False`` an empty queue is `QueueEmptyError`; a queue that never was has no items."""
        assert store.queue_len("queue") == 0
        with pytest.raises(QueueEmptyError):
            store.queue_pop("queue", block=False)
        store.queue_push("queue", b"item")
        assert store.queue_pop("queue", block=False) == b"item"
        with pytest.raises(QueueEmptyError):
            store.queue_pop("queue", block=False)

    def test_concurrent_queue(self, connect: Callable[..., Store]) -> None:
        """Clients that push and pop at once get every item, each once."""
        clients = [connect() for _ in range(self.racers)]

        def push(number: int) -> list[bytes]:
            for turn in range(5):
                clients[number].queue_push("queue", b"%d:%d" % (number, turn))
            return []

        def pop(number: int) -> list[bytes]:
            return [clients[number].queue_pop("queue") for _ in range(5)]

        half = self.racers // 2
        work = [partial(push, number) for number in range(half)]
        work += [partial(pop, number) for number in range(half, 2 * half)]
        popped = chain(*together(work, self.patience))
        pushed = [b"%d:%d" % (number, turn) for number in range(half) for turn in range(5)]
        assert sorted(popped) == sorted(pushed)

    # Barriers

    def test_barrier(self, connect: Callable[..., Store]) -> None:
        """Everybody blocks until the last has come."""
        clients = [connect() for _ in range(self.racers)]
        early = [start(client.barrier, "barrier", self.racers) for client in clients[1:]]
        assert is_blocked(early[0], self.moment)
        assert not any(each.done() for each in early)
        start(clients[0].barrier, "barrier", self.racers).result(self.patience)
        for each in early:
            each.result(self.patience)

    def test_barrier_runs_out_of_time(self, store: Store) -> None:
        """A barrier to which not all come raises `RendezvousTimeoutError`, naming itself."""
        self._runs_out_of_time(partial(store.barrier, "the-barrier", 2, self.moment), "the-barrier")

    def test_barrier_of_nobody(self, store: Store) -> None:
        """A barrier without members is a ``ValueError``."""
        with pytest.raises(ValueError, match="world_size"):
            store.barrier("barrier", 0)

    def _runs_out_of_time(self, call: Callable[[], object], *names: str) -> None:
        """Check that ``call`` blocks for a moment and then raises a timeout with ``names``."""
        began = time.monotonic()
        error = start(call).exception(self.patience)
        assert isinstance(error, RendezvousTimeoutError), f"got {error!r}"
        assert all(name in str(error) for name in names), str(error)
        assert time.monotonic() - began > 0.9 * self.moment, "the time has not run out"
