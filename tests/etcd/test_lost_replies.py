"""What becomes of writes over the v2 API whose reply is lost, while others write: never a guess."""

import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import etcd
import pytest

from rendezvous_core import RendezvousConnectionError, Store
from rendezvous_core.testing.suites.checks import found, refused, written
from rendezvous_etcd import EtcdRendezvous, EtcdRendezvousBackend, EtcdServer, EtcdStore
from rendezvous_etcd.errors import UncertainError
from rendezvous_etcd.legacy.state_key import StateKey
from rendezvous_etcd.v2.client import EtcdCalls

UNKNOWN = "is unknown"


class LossyCalls(EtcdCalls):
    """Loses the reply to the next write or deletion, or holds the request up, and lets others act then."""

    losing: Callable[[], object] | None = None
    holding: Callable[[], object] | None = None
    held: Callable[[], Any]

    def write(self, key: str, value: str | None, *, safe: bool = False, **options: Any) -> Any:
        return self._fate(partial(super().write, key, value, safe=safe, **options))

    def delete(self, key: str, *, safe: bool = False, **options: Any) -> Any:
        return self._fate(partial(super().delete, key, safe=safe, **options))

    def _fate(self, request: Callable[[], Any]) -> Any:
        losing, holding, self.losing, self.holding = self.losing, self.holding, None, None
        if losing:
            request()
            losing()
        elif holding:
            self.held = request
            holding()
        else:
            return request()
        raise UncertainError(f"whether it was carried out {UNKNOWN}")

    def arrive(self) -> None:
        """Have what was held up arrive now."""
        with suppress(etcd.EtcdException):
            self.held()


def nothing() -> None:
    """Nobody else does anything."""


@pytest.fixture
def calls(server: EtcdServer) -> LossyCalls:
    return LossyCalls([server.get_client()], 10)


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def store(calls: LossyCalls, prefix: str) -> EtcdStore:
    return EtcdStore(calls, prefix)


@pytest.fixture
def other(server: EtcdServer, prefix: str) -> EtcdStore:
    return EtcdStore(server.get_client(), prefix)


@pytest.mark.parametrize("fate", ["losing", "holding"])
@pytest.mark.parametrize("times", [0, 1, 3])
def test_add_counts_once(
    store: EtcdStore, other: EtcdStore, calls: LossyCalls, fate: str, times: int
) -> None:
    """However often others add meanwhile, and when what was held up arrives after all."""
    store.set("number", "5")
    setattr(calls, fate, lambda: [other.add("number", 100) for _ in range(times)])
    total = store.add("number", 1)
    assert total == (6 if fate == "losing" else 6 + 100 * times)
    if fate == "holding":
        calls.arrive()
    assert other.get("number") == b"%d" % (6 + 100 * times)


def test_append_happens_once(store: EtcdStore, other: EtcdStore, calls: LossyCalls) -> None:
    store.set("text", "a")
    calls.losing = partial(other.append, "text", "c")
    store.append("text", "b")
    assert other.get("text") == b"abc"


def test_a_late_write_does_not_replace_a_newer_one(
    store: EtcdStore, other: EtcdStore, calls: LossyCalls
) -> None:
    store.set("key", "old")
    calls.holding = nothing
    store.set("key", "mine")
    other.set("key", "newer")
    calls.arrive()
    assert other.get("key") == b"newer"


@pytest.mark.parametrize("write", [Store.set, Store.append])
def test_a_deleted_key_is_not_brought_back(
    store: EtcdStore, other: EtcdStore, calls: LossyCalls, write: Callable[..., object]
) -> None:
    calls.losing = partial(other.delete_key, "key")
    write(store, "key", "value")
    assert not other.check(["key"])


def test_a_new_key_that_does_not_appear(store: EtcdStore, other: EtcdStore, calls: LossyCalls) -> None:
    """Were it tried again, the first attempt might bring it back when somebody has deleted it."""
    calls.holding = nothing
    with pytest.raises(RendezvousConnectionError, match=UNKNOWN):
        store.set("key", "value")
    assert not other.check(["key"])
    calls.arrive()
    assert other.get("key") == b"value"


def test_a_new_key_that_another_one_writes(store: EtcdStore, other: EtcdStore, calls: LossyCalls) -> None:
    calls.holding = partial(other.set, "key", "theirs")
    with pytest.raises(RendezvousConnectionError, match=UNKNOWN):
        store.add("key", 1)


def test_compare_set_has_one_winner(store: EtcdStore, other: EtcdStore, calls: LossyCalls) -> None:
    store.set("key", "free")
    calls.losing = lambda: other.compare_set("key", "mine", "free")
    assert store.compare_set("key", "free", "mine") == b"mine"
    calls.holding = lambda: other.compare_set("key", "free", "theirs")
    assert store.compare_set("key", "free", "mine") == b"theirs"


@pytest.mark.parametrize("fate", ["losing", "holding"])
def test_a_queue_item_goes_to_one(store: EtcdStore, other: EtcdStore, calls: LossyCalls, fate: str) -> None:
    """Another reader is ahead with its item when the reply to the claim is lost."""
    for item in (b"a", b"b", b"c", b"d"):
        store.queue_push("queue", item)
    popped = [store.queue_pop("queue")]
    setattr(calls, fate, lambda: popped.append(other.queue_pop("queue")))
    popped.append(store.queue_pop("queue"))
    popped.append(other.queue_pop("queue"))
    assert sorted(popped) == [b"a", b"b", b"c", b"d"]


def test_a_deletion_that_was_lost(store: EtcdStore, other: EtcdStore, calls: LossyCalls) -> None:
    """Another one may have deleted it in the same way: who did is not guessed."""
    store.set("key", "value")
    calls.losing = nothing
    with pytest.raises(RendezvousConnectionError, match=UNKNOWN):
        store.delete_key("key")
    store.set("key", "value")
    calls.losing = partial(other.set, "key", "newer")
    with pytest.raises(RendezvousConnectionError, match=UNKNOWN):
        store.delete_key("key")
    assert other.get("key") == b"newer"


def test_a_deletion_that_is_late(store: EtcdStore, other: EtcdStore, calls: LossyCalls) -> None:
    store.set("key", "value")
    calls.holding = nothing
    assert store.delete_key("key")
    other.set("key", "newer")
    calls.arrive()
    assert other.get("key") == b"newer"


def test_more_than_etcd_remembers(store: EtcdStore, other: EtcdStore, calls: LossyCalls) -> None:
    """It forgets what happened a thousand events ago."""

    def write_much() -> None:
        for number in range(1100):
            calls.client.write("/much", number)
        other.set("number", "7")

    store.set("number", "5")
    calls.losing = write_much
    with pytest.raises(RendezvousConnectionError, match=UNKNOWN):
        store.add("number", 1)


def test_a_server_that_falls_silent(store: EtcdStore, calls: LossyCalls) -> None:
    """The error is not that of the look, which says nothing about the write."""
    store.set("key", "value")
    calls.losing = calls.close
    with pytest.raises(RendezvousConnectionError, match=UNKNOWN):
        store.set("key", "other")


@pytest.fixture
def backend(calls: LossyCalls, prefix: str) -> EtcdRendezvousBackend:
    return EtcdRendezvousBackend(calls, prefix)


@pytest.fixture
def second(server: EtcdServer, prefix: str) -> EtcdRendezvousBackend:
    return EtcdRendezvousBackend(server.get_client(), prefix)


def test_a_state_that_another_one_has_replaced(
    backend: EtcdRendezvousBackend, second: EtcdRendezvousBackend, calls: LossyCalls
) -> None:
    _, token = written(backend.set_state(b"first"))
    calls.losing = lambda: written(second.set_state(b"third", found(second)[1]))
    _, token = written(backend.set_state(b"second", token))
    assert backend.wait_for_change(token, 0)
    _, token = found(backend)
    calls.holding = lambda: written(second.set_state(b"theirs", found(second)[1]))
    assert refused(backend.set_state(b"mine", token))[0] == b"theirs"
    calls.arrive()
    assert found(second)[0] == b"theirs"


def test_a_first_state_that_does_not_appear(backend: EtcdRendezvousBackend, calls: LossyCalls) -> None:
    calls.holding = nothing
    with pytest.raises(RendezvousConnectionError, match=UNKNOWN):
        backend.set_state(b"first")


def test_a_late_record(backend: EtcdRendezvousBackend, calls: LossyCalls) -> None:
    """It does not replace a newer one, and does not bring back one that was removed."""
    backend.put_member("node", b"0", announce=True)
    calls.holding = nothing
    backend.put_member("node", b"1", announce=False)
    backend.put_member("node", b"2", announce=False)
    calls.arrive()
    assert dict(backend.members().records) == {"node": b"2"}
    calls.holding = nothing
    backend.put_member("node", b"3", announce=False)
    backend.remove_member("node")
    calls.arrive()
    assert not backend.members().records


def test_a_late_removal(backend: EtcdRendezvousBackend, calls: LossyCalls) -> None:
    backend.put_member("node", b"0", announce=True)
    calls.holding = nothing
    backend.remove_member("node")
    backend.put_member("node", b"1", announce=True)
    calls.arrive()
    assert dict(backend.members().records) == {"node": b"1"}


def test_a_rank_on_top_of_which_another_one_was_taken(
    calls: LossyCalls, server: EtcdServer, prefix: str
) -> None:
    """The legacy protocol: whoever took a rank knows it, so that no rank is left behind."""
    mine, theirs = (StateKey(each, f"/{prefix}") for each in (calls, EtcdCalls.of(server.get_client())))
    state = mine.write(None, {"status": "joinable", "participants": []}, None)

    def join() -> None:
        standing = theirs.read()
        assert theirs.write(standing, {**standing.data, "participants": [0, 1]}, None)

    calls.losing = join
    joined = mine.write(state, {"status": "joinable", "participants": [0]}, None)
    assert joined is not None
    assert joined.participants == [0]
    assert mine.read().participants == [0, 1]


def test_extra_data_of_two_nodes(calls: LossyCalls, server: EtcdServer, prefix: str) -> None:
    mine, theirs = (EtcdRendezvous(each, prefix, "run", 1, 2, 60, 1) for each in (calls, server.get_client()))
    theirs.store_extra_data("1", "a", 0)
    calls.losing = partial(theirs.store_extra_data, "1", "mine", "changed since")
    mine.store_extra_data("1", "mine", "first")
    assert mine.load_extra_data("1", "mine") == "changed since"
