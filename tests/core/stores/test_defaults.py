"""What `Store` builds on the methods that a store must bring."""

from collections import Counter
from functools import partial

import pytest

from rendezvous_core import QueueEmptyError, RendezvousConnectionError, RendezvousTimeoutError
from rendezvous_core.ports.store import peek
from rendezvous_core.testing.memory import MemoryServer, MemoryStore
from rendezvous_core.testing.suites.threads import start, together
from tests.core.stores.parts import PATIENCE, PlainStore, eventually


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def store(server: MemoryServer) -> PlainStore:
    return PlainStore(server)


@pytest.fixture
def other(server: MemoryServer) -> PlainStore:
    return PlainStore(server)


def test_each_item_reaches_one_reader_in_the_order_of_its_pusher(server: MemoryServer) -> None:
    pushers, readers, items = 4, 4, 50

    def push(pusher: int) -> list[bytes]:
        store = PlainStore(server)
        for item in range(items):
            store.queue_push("queue", f"{pusher} {item}")
        return []

    def read() -> list[bytes]:
        store = PlainStore(server)
        return [store.queue_pop("queue") for _ in range(pushers * items // readers)]

    calls = [*(lambda pusher=pusher: push(pusher) for pusher in range(pushers)), *[read] * readers]
    read_by = [[item.split() for item in found] for found in together(calls, PATIENCE)]
    found = Counter((pusher, number) for reader in read_by for pusher, number in reader)
    assert found == Counter(
        (b"%d" % pusher, b"%d" % item) for pusher in range(pushers) for item in range(items)
    )
    for reader in read_by:
        for pusher in range(pushers):
            numbers = [int(number) for who, number in reader if int(who) == pusher]
            assert numbers == sorted(numbers)


def test_a_drained_queue_leaves_two_keys(store: PlainStore) -> None:
    for item in range(20):
        store.queue_push("queue", b"%d" % item)
    assert [store.queue_pop("queue") for _ in range(20)] == [b"%d" % item for item in range(20)]
    assert sorted(store.list_keys()) == ["queue/queue/head", "queue/queue/tail"]


def test_a_reader_that_times_out_takes_nothing_with_it(store: PlainStore, other: PlainStore) -> None:
    with pytest.raises(RendezvousTimeoutError, match=r"Timed out after 0.01 s .* queue 'queue'"):
        store.queue_pop("queue", timeout=0.01)
    other.queue_push("queue", b"1")
    assert store.queue_pop("queue", block=False) == b"1"
    with pytest.raises(QueueEmptyError, match="'queue' is empty"):
        store.queue_pop("queue", block=False)


@pytest.mark.parametrize("moment", ["before it looks", "before it claims"])
def test_the_reader_that_loses_a_race_takes_the_next_item(
    store: PlainStore, other: PlainStore, moment: str
) -> None:
    taken: list[bytes] = []
    for item in (b"1", b"2"):
        other.queue_push("queue", item)

    def take() -> None:
        taken.append(other.queue_pop("queue"))

    claims = partial(store.before, "compare_set", "/head", take)
    store.before("compare_set", "/1", take if moment == "before it looks" else claims)
    assert store.queue_pop("queue") == b"2"
    assert taken == [b"1"]
    assert "wait" not in {method for method, _ in store.calls}


def test_a_reader_whose_item_was_pushed_and_taken_before_it_waits_gets_the_next(
    store: PlainStore, other: PlainStore
) -> None:
    def push_and_take() -> None:
        other.queue_push("queue", b"1")
        assert other.queue_pop("queue") == b"1"
        other.queue_push("queue", b"2")

    store.before("wait", "/1", push_and_take)
    assert start(store.queue_pop, "queue").result(PATIENCE) == b"2"


@pytest.mark.parametrize("block", [True, False])
def test_a_pusher_that_dies_half_way_does_not_hold_up_the_queue(
    store: PlainStore, other: PlainStore, block: bool
) -> None:
    other.before("compare_set", "/1", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        other.queue_push("queue", b"dies")
    other.queue_push("queue", b"lives")
    assert start(store.queue_pop, "queue", block).result(PATIENCE) == b"lives"
    with pytest.raises(QueueEmptyError):
        store.queue_pop("queue", block=False)


def test_a_pusher_taken_for_dead_pushes_again(store: PlainStore, other: PlainStore) -> None:
    def give_up_on_it() -> None:
        with pytest.raises(QueueEmptyError):
            store.queue_pop("queue", block=False)

    other.before("compare_set", "/1", give_up_on_it)
    other.queue_push("queue", b"late")
    assert store.queue_len("queue") == 1
    assert store.queue_pop("queue") == b"late"
    assert sorted(store.list_keys()) == ["queue/queue/head", "queue/queue/tail"]


def test_a_barrier_says_how_many_have_come(store: PlainStore) -> None:
    with pytest.raises(RendezvousTimeoutError, match=r"after 0.01 s at the barrier 'gate': 1 of 3 have come"):
        store.barrier("gate", 3, 0.01)
    assert store.list_keys() == ["gate/num_members"]


def test_a_barrier_lets_all_through_together(server: MemoryServer) -> None:
    waiting = [start(PlainStore(server).barrier, "gate", 3) for _ in range(2)]
    eventually(lambda: server.operations["wait"] == 2, "two wait")
    assert not any(each.done() for each in waiting)
    PlainStore(server).barrier("gate", 3)
    for each in waiting:
        each.result(PATIENCE)
    assert sorted(PlainStore(server).list_keys()) == ["gate/last_member", "gate/num_members"]


def test_multi_set_with_too_few_values_writes_nothing(store: PlainStore) -> None:
    with pytest.raises(ValueError, match="one value per key, not 1 for 2 keys"):
        store.multi_set(["a", "b"], [b"1"])
    assert store.num_keys() == 0


def test_a_timeout_names_what_is_missing_and_what_is_there(server: MemoryServer) -> None:
    store = MemoryStore(server)
    store.set("here", b"")
    with pytest.raises(
        RendezvousTimeoutError, match=r"Timed out after 0 s waiting for keys: 'a', 'b'; present: 'here'\."
    ):
        store.wait(["b", "here", "a"], 0)
    with pytest.raises(RendezvousTimeoutError, match=r"'00', '01', .*'07' and 92 more\.$"):
        store.wait([f"{number:02}" for number in reversed(range(100))], 0)


def test_peek_never_blocks_and_changes_nothing(store: PlainStore) -> None:
    assert peek(store, "key") is None
    assert store.num_keys() == 0
    for value in (b"", b"\0", b"value"):
        store.set("key", value)
        assert peek(store, "key") == value
        assert store.get("key") == value


def test_a_pop_whose_reply_was_lost_is_an_error_and_blocks_nobody(
    store: PlainStore, other: PlainStore
) -> None:
    for item in (b"1", b"2"):
        other.queue_push("queue", item)
    store.before("compare_set", "/1", lambda: store.lose_reply("delete_key", "/1"))
    with pytest.raises(RendezvousConnectionError):
        store.queue_pop("queue")
    assert other.queue_pop("queue") == b"2"


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_store_refuses_a_timeout_that_is_not_positive(store: PlainStore, timeout: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        store.set_timeout(timeout)
