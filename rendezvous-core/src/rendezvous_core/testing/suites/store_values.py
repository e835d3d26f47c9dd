"""What a store holds: values, counters, and what is atomic."""

import pickle
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from typing import Any

import pytest

from rendezvous_core.ports.store import Store, Value
from rendezvous_core.testing.suites.base import needs
from rendezvous_core.testing.suites.checks import BINARY, MIB, SIMILAR
from rendezvous_core.testing.suites.store_fixtures import StoreFixtures
from rendezvous_core.testing.suites.threads import start, together

KEYS = ("key", "a/b", "/a", "a", "a//b", "a/", "..", "a b", "%2F", "*", "\u00fc\u540d", "K" * 200, "\n", "")
"""Keys that a careless encoding would refuse or mix up; some are the folders of others."""

NO_KEYS: Mapping[str, object] = {
    "nothing": None,
    "number": 5,
    "bytes": b"key",
    "list": ["key"],
    "surrogate": "\ud800",
    "undecodable": "key\udcff",
}


class StoreValues(StoreFixtures):
    """Every method that does not block."""

    def test_pickling(self, store: Store) -> None:
        """A store says that it cannot be pickled, and what to do instead."""
        with pytest.raises(TypeError, match=r"cannot be pickled, .*: open one in the process"):
            pickle.dumps(store)

    @pytest.mark.parametrize("value", [b"value", b"", b"\0", BINARY, b" \n", b"x" * 65536], ids=len)
    def test_set_and_get(self, store: Store, other: Store, value: bytes) -> None:
        """Any bytes are a value; every client reads what was written."""
        store.set("key", value)
        assert other.get("key") == value
        assert type(other.get("key")) is bytes

    @needs("large_values")
    def test_large_value(self, store: Store, other: Store) -> None:
        """A value of 1 MiB is written and read like any other."""
        store.set("key", MIB)
        assert other.get("key") == MIB

    def test_text_is_stored_as_utf8(self, store: Store, other: Store) -> None:
        """Values can be given as text; what is read is bytes."""
        store.set("key", "\u00fc\u540d")
        assert other.get("key") == "\u00fc\u540d".encode()

    def test_set_replaces(self, store: Store, other: Store) -> None:
        """The last value stands, for every client."""
        for number, writer in enumerate([store, other, store]):
            writer.set("key", b"x" * (5 - number))
            assert store.get("key") == other.get("key") == b"x" * (5 - number)

    def test_any_text_is_a_key(self, store: Store, other: Store) -> None:
        """Keys are text of any kind, and a key may lie below another one."""
        for number, key in enumerate(KEYS):
            store.set(key, b"%d" % number)
        assert [other.get(key) for key in KEYS] == [b"%d" % number for number in range(len(KEYS))]
        assert sorted(other.list_keys()) == sorted(KEYS)
        for key in KEYS:
            assert other.delete_key(key)
            assert not store.check([key])

    @pytest.mark.parametrize("key", NO_KEYS.values(), ids=NO_KEYS)
    def test_what_is_no_key(self, store: Store, key: Any) -> None:
        """What is no text, or no text that others can read, is refused by every method, and stays out."""
        calls: list[Callable[[], object]] = [
            *(partial(call, key) for call in (store.get, store.delete_key, store.queue_len, store.queue_pop)),
            *(partial(call, key, b"1") for call in (store.set, store.append, store.queue_push)),
            *(
                partial(call, ["key", key])
                for call in (store.check, store.wait, store.multi_get, store.peek_all)
            ),
            partial(store.add, key, 1),
            partial(store.compare_set, key, b"", b"1"),
            partial(store.multi_set, ["key", key], [b"1", b"2"]),
            partial(store.write_all, [("set", key, b"1")]),
            partial(store.barrier, key, 1),
        ]
        for call in calls:
            error = start(call).exception(self.patience)
            assert isinstance(error, TypeError | ValueError), f"{call} led to {error!r}"
            assert "key" in str(error)
            assert not isinstance(error, UnicodeError)
        assert store.list_keys() == []

    def test_a_key_is_no_list_of_keys(self, store: Store) -> None:
        """One key where several are expected is refused, as Python would take its letters for keys."""
        store.multi_set(["a", "b"], [b"1", b"2"])
        for call in (store.check, store.wait, store.multi_get, store.peek_all):
            with pytest.raises(TypeError, match=r"\['ab'\]"):
                start(call, "ab").result(self.patience)
        with pytest.raises(TypeError, match=r"\['ab'\]"):
            store.multi_set("ab", [b"3", b"4"])
        with pytest.raises(TypeError, match="34"):
            store.multi_set(["a", "b"], "34")
        assert store.multi_get(["a", "b"]) == [b"1", b"2"]

    @pytest.mark.parametrize(
        "value", [None, 5, 1.5, ["a"], "\ud800"], ids=["nothing", "number", "fraction", "list", "surrogate"]
    )
    def test_what_is_no_value(self, store: Store, value: Any) -> None:
        """What is neither text nor bytes is refused by every method, and not written."""
        store.set("key", b"old")
        for call in (
            partial(store.set, "key", value),
            partial(store.append, "key", value),
            partial(store.compare_set, "key", b"old", value),
            partial(store.compare_set, "key", value, b"new"),
            partial(store.multi_set, ["key", "other"], [b"new", value]),
            partial(store.write_all, [("set", "key", value)]),
            partial(store.queue_push, "queue", value),
        ):
            error = start(call).exception(self.patience)
            assert isinstance(error, TypeError | ValueError), f"{call} led to {error!r}"
            assert not isinstance(error, UnicodeError)
        assert store.get("key") == b"old"
        assert store.queue_len("queue") == 0

    @pytest.mark.parametrize("amount", [None, "1", 1.5, 2**63], ids=["nothing", "text", "fraction", "large"])
    def test_what_is_no_amount(self, store: Store, amount: Any) -> None:
        """``add`` takes integers of 64 bits, and never rounds."""
        store.set("key", b"5")
        error = start(store.add, "key", amount).exception(self.patience)
        assert isinstance(error, TypeError | ValueError), f"got {error!r}"
        assert store.get("key") == b"5"

    def test_runs_are_apart(self, connect: Callable[..., Store], run_id: str) -> None:
        """No key of one run is seen in another, however similar their ids and keys are."""
        runs = [connect(run_id + suffix) for suffix in SIMILAR]
        for number, run in enumerate(runs):
            run.set("key", b"%d" % number)
            run.add("2/key", number)
        for number, run in enumerate(runs):
            assert run.get("key") == b"%d" % number
            assert run.get("2/key") == b"%d" % number
            assert sorted(run.list_keys()) == ["2/key", "key"]

    # Keys

    def test_check(self, store: Store, other: Store) -> None:
        """``check`` tells, without blocking, whether all keys exist."""
        assert not start(store.check, ["one"]).result(self.patience)
        other.set("one", b"")
        assert store.check(["one"])
        assert not start(store.check, ["one", "two"]).result(self.patience)
        other.set("two", b"2")
        assert store.check(["one", "two"])
        assert store.check([])

    def test_delete_key(self, store: Store, other: Store) -> None:
        """``delete_key`` tells whether the key existed; afterwards it is as if it never had."""
        assert not store.delete_key("key")
        store.set("key", b"5")
        assert other.delete_key("key")
        assert not store.delete_key("key")
        assert not store.check(["key"])
        assert store.add("key", 1) == 1

    def test_num_keys_and_list_keys(self, store: Store, other: Store) -> None:
        """All keys are counted and listed, however they came to be, and no others."""
        assert store.num_keys() == 0
        assert store.list_keys() == []
        store.set("set", b"")
        store.add("added", 0)
        store.append("appended", b"")
        store.compare_set("compared", b"", b"1")
        store.compare_set("refused", b"x", b"1")
        store.check(["checked"])
        store.multi_set(["many"], [b"1"])
        assert sorted(other.list_keys()) == ["added", "appended", "compared", "many", "set"]
        assert other.num_keys() == 5
        store.delete_key("set")
        assert other.num_keys() == 4

    def test_multi_set_and_multi_get(self, store: Store, other: Store) -> None:
        """Several keys at once, values in the order of the keys, which may repeat."""
        store.multi_set(["one", "two", "three"], [b"1", "2", b""])
        assert other.multi_get(["three", "one", "two", "one"]) == [b"", b"1", b"2", b"1"]
        store.multi_set([], [])
        assert store.multi_get([]) == []

    def test_multi_set_of_unequal_length(self, store: Store) -> None:
        """Keys without a value, or the reverse, are a ``ValueError``, and nothing is written."""
        with pytest.raises(ValueError, match="multi_set"):
            store.multi_set(["one", "two"], [b"1"])
        with pytest.raises(ValueError, match="multi_set"):
            store.multi_set(["one"], [b"1", b"2"])
        assert store.num_keys() == 0

    def test_write_all_and_peek_all(self, store: Store, other: Store) -> None:
        """Several writes in their order, and values of keys of which some are missing."""
        store.write_all(
            [("set", "one", b"1"), ("append", "two", "2"), ("append", "one", b"\0"), ("set", "two", b"")]
        )
        assert other.peek_all(["two", "three", "one", "one"]) == [b"", None, b"1\0", b"1\0"]
        store.write_all([])
        assert store.peek_all([]) == []

    # Numbers

    def test_add(self, store: Store, other: Store) -> None:
        """``add`` returns the sum; a missing key counts as 0, amounts may be negative or 0."""
        assert store.add("key", 0) == 0
        assert other.add("key", 5) == 5
        assert store.add("key", -7) == -2
        assert other.add("key", 2**40) == 2**40 - 2

    def test_numbers_are_text(self, store: Store, other: Store) -> None:
        """A number reads as decimal text, and decimal text can be added to."""
        store.add("key", 41)
        assert other.get("key") == b"41"
        store.set("key", "-3")
        assert other.add("key", 1) == -2

    @pytest.mark.parametrize("value", [b"text", b"1.5", b"\xff\0"], ids=repr)
    def test_add_to_no_number(self, store: Store, other: Store, value: bytes) -> None:
        """``add`` to anything else is a ``ValueError`` and changes nothing; the client works on."""
        store.set("key", value)
        with pytest.raises(ValueError):  # noqa: PT011
            store.add("key", 1)
        assert store.get("key") == other.get("key") == value
        assert store.add("number", 1) == 1

    def test_concurrent_adds(self, connect: Callable[..., Store]) -> None:
        """Clients that add at once lose nothing, and no two of them get the same sum."""
        clients = [connect() for _ in range(self.racers)]

        def count(store: Store) -> list[int]:
            return [store.add("key", 1) for _ in range(20)]

        sums = chain(*together([partial(count, client) for client in clients], self.patience))
        assert sorted(sums) == list(range(1, 20 * self.racers + 1))

    def test_threads_share_a_client(self, store: Store) -> None:
        """One client serves several threads at once, and loses none of their adds."""

        def count() -> None:
            for _ in range(20):
                store.add("key", 1)

        together([count] * self.racers, self.patience)
        assert store.add("key", 0) == 20 * self.racers

    # Append and compare-and-set

    def test_append(self, store: Store, other: Store) -> None:
        """``append`` adds to the end; a missing key counts as empty."""
        store.append("key", b"a\0")
        other.append("key", "\u00fc")
        store.append("key", b"")
        assert other.get("key") == b"a\0" + "\u00fc".encode()

    def test_concurrent_appends(self, connect: Callable[..., Store]) -> None:
        """Clients that append at once lose nothing, and pieces stay whole."""
        clients = [connect() for _ in range(self.racers)]

        def append(number: int, store: Store) -> None:
            for turn in range(10):
                store.append("key", b"%d:%d;" % (number, turn))

        together([partial(append, *each) for each in enumerate(clients)], self.patience)
        pieces = clients[0].get("key").split(b";")[:-1]
        expected = [b"%d:%d" % (number, turn) for number in range(self.racers) for turn in range(10)]
        assert sorted(pieces) == sorted(expected)

    @pytest.mark.parametrize(
        ("present", "expected", "returned", "stands"),
        [
            (None, "", b"new", b"new"),
            (None, "old", b"old", None),
            ("old", "old", b"new", b"new"),
            ("old", "", b"old", b"old"),
            ("old", "other", b"old", b"old"),
            ("old", "ol", b"old", b"old"),
            ("", "", b"new", b"new"),
            ("", "old", b"", b""),
            (BINARY, BINARY, b"new", b"new"),
        ],
    )
    def test_compare_set(
        self,
        store: Store,
        other: Store,
        present: Value | None,
        expected: Value,
        returned: bytes,
        stands: bytes | None,
    ) -> None:
        """The write happens if the key holds what is expected; a missing key matches an empty value."""
        if present is not None:
            other.set("key", present)
        assert store.compare_set("key", expected, "new") == returned
        assert other.check(["key"]) == (stands is not None)
        if stands is not None:
            assert other.get("key") == stands

    def test_one_of_many_racers_wins(self, connect: Callable[..., Store]) -> None:
        """Of clients that compare-and-set at once exactly one wins; the rest see its value."""
        clients = [connect() for _ in range(self.racers)]
        standing = b""
        for turn in range(10):
            wanted = [b"%d/%d" % (turn, number) for number in range(self.racers)]
            attempts = [
                partial(client.compare_set, "key", standing, value)
                for client, value in zip(clients, wanted, strict=True)
            ]
            results = together(attempts, self.patience)
            standing = clients[0].get("key")
            assert standing in wanted
            assert set(results) == {standing}

    # Handles

    def test_clone(self, store: Store) -> None:
        """A clone has the same data, and is not held up by a call that blocks on the original."""
        clone = store.clone()
        waiting = start(store.get, "key")
        clone.set("key", b"value")
        assert waiting.result(self.patience) == b"value"
        store.set("key", b"other")
        assert clone.get("key") == b"other"

    def test_extended_api(self, store: Store) -> None:
        """The store says that it has all methods."""
        assert store.has_extended_api() is True
