"""What is particular to a membership backend over a store: its keys, its cost, its races."""

from collections.abc import Callable
from functools import partial

import pytest

from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousStateError,
    Store,
    StoreBackend,
)
from rendezvous_core.over_store import backend as store_backend
from rendezvous_core.testing.memory import MemoryServer, MemoryStore
from rendezvous_core.testing.suites.threads import is_blocked, start, together
from tests.core.stores.parts import PATIENCE, PlainStore, eventually

RUN = "rendezvous-run/run"


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def store(server: MemoryServer) -> PlainStore:
    return PlainStore(server)


@pytest.fixture
def backend(store: PlainStore) -> StoreBackend:
    return StoreBackend(store, "run")


@pytest.fixture
def other(server: MemoryServer) -> StoreBackend:
    return StoreBackend(PlainStore(server), "run")


@pytest.fixture
def raw(server: MemoryServer) -> Store:
    return MemoryStore(server)


def write(backend: StoreBackend, state: bytes = b"state") -> bytes:
    """Replace the state, and return its token."""
    found = backend.get_state()
    standing = backend.set_state(state, found and found[1])
    assert standing is not None
    assert standing[2]
    token: bytes = standing[1]
    return token


# Keys


def test_runs_whose_ids_contain_each_others_keys_are_apart(server: MemoryServer) -> None:
    ids = ["a", "a/member", "a/changed", "A", "ä/%2F", "a%2Fmember"]
    backends = [StoreBackend(MemoryStore(server), run_id) for run_id in ids]
    for run_id, backend in zip(ids, backends, strict=True):
        write(backend, run_id.encode())
        backend.put_member("state", run_id.encode(), announce=True)
    for run_id, backend in zip(ids, backends, strict=True):
        found = backend.get_state()
        assert found is not None
        assert found[0] == run_id.encode()
        assert backend.members().records == {"state": run_id.encode()}


@pytest.mark.parametrize("node", ["", "a b", "a\nb", "#", "%23", "ключ", "a/b"])
def test_any_text_is_a_node_id(backend: StoreBackend, other: StoreBackend, node: str) -> None:
    backend.put_member(node, b"1", announce=True)
    backend.put_member("plain", b"2", announce=True)
    assert other.members().records == {node: b"1", "plain": b"2"}


def test_it_keeps_to_the_methods_it_names(store: PlainStore, backend: StoreBackend, raw: Store) -> None:
    token = write(backend)
    backend.put_member("node", b"1", announce=True)
    assert backend.wait_for_change(token, PATIENCE, backend.members().token)
    raw.delete_key(f"{RUN}/member/node")
    backend.members()
    backend.remove_member("node")
    used = {method for handle in [store, *store.clones] for method, _ in handle.calls}
    assert used <= {"set", "get", "append", "compare_set", "check", "wait", "delete_key"}


def test_old_signals_are_deleted_whoever_writes(server: MemoryServer, raw: Store) -> None:
    writers = [StoreBackend(MemoryStore(server), "run") for _ in range(3)]
    for turn in range(60):
        write(writers[turn % 3], b"%d" % turn)
    signals = [key for key in raw.list_keys() if key.startswith(f"{RUN}/changed/")]
    assert len(signals) == 9  # of the eight last states, and of there being a first one


# Cost


def test_each_step_takes_as_few_operations_as_it_says(server: MemoryServer) -> None:
    backend = StoreBackend(MemoryStore(server), "run")
    token = write(backend)

    def cost(action: Callable[[], object]) -> dict[str, int]:
        server.operations.clear()
        action()
        return dict(server.operations)

    assert cost(backend.get_state) == {"compare_set": 1}
    assert cost(lambda: backend.put_member("node", b"1", announce=True)) == {"set": 2, "append": 1}
    assert cost(lambda: backend.put_member("node", b"2", announce=False)) == {"compare_set": 1}
    assert cost(lambda: backend.put_member("node", b"3", announce=True)) == {"compare_set": 1, "set": 1}
    assert cost(backend.members) == {"compare_set": 1, "check": 1, "multi_get": 1}
    assert cost(lambda: backend.wait_for_change(token, 0.01)) == {"wait": 1}
    assert cost(lambda: backend.set_state(b"next", token)) == {"compare_set": 1, "multi_set": 1}


def test_waiting_takes_a_handle_of_its_own_and_keeps_it(
    store: PlainStore, backend: StoreBackend, other: StoreBackend
) -> None:
    for turn in range(5):
        token = write(other, b"%d" % turn)
        backend.get_state()
        assert not backend.wait_for_change(token, 0.01)
    assert len(store.clones) == 1
    assert "wait" not in {method for method, _ in store.calls}
    waiting = [start(backend.wait_for_change, token, PATIENCE) for _ in range(2)]
    eventually(lambda: sum(len(clone.calls) for clone in store.clones) == 7, "both wait")
    assert len(store.clones) == 2
    write(other)
    assert [each.result(PATIENCE) for each in waiting] == [True, True]


def test_whoever_waits_for_members_is_not_woken_by_its_own_writes(
    backend: StoreBackend, other: StoreBackend
) -> None:
    listed = backend.members().token
    backend.wait_for_change(write(backend), 0.01, listed)
    backend.wait_for_change(write(backend), 0.01, listed)
    assert not backend.wait_for_change(write(backend), 0.01, listed)
    own_thread = start(write, backend).result(PATIENCE)
    assert backend.wait_for_change(own_thread, PATIENCE, listed), "another thread of the same process wrote"
    assert backend.wait_for_change(write(other), PATIENCE, listed), "another process wrote"


# Races


def test_a_change_before_the_wait_is_not_missed(
    store: PlainStore, backend: StoreBackend, other: StoreBackend
) -> None:
    token = write(backend)
    write(other)
    assert backend.wait_for_change(token, PATIENCE)


def test_a_token_whose_signal_is_long_gone_needs_no_wait(
    server: MemoryServer, backend: StoreBackend, other: StoreBackend
) -> None:
    token = write(other)
    for turn in range(20):
        write(other, b"%d" % turn)
    assert backend.wait_for_change(token, PATIENCE)
    assert server.operations["wait"] == 0


def test_a_change_between_a_look_and_the_wait_is_not_missed(
    store: PlainStore, backend: StoreBackend, other: StoreBackend
) -> None:
    token = write(other)  # which the backend did not read, so it looks
    original = store.clone

    def clone_late() -> PlainStore:
        write(other)
        return original()

    store.clone = clone_late  # type: ignore[method-assign]
    assert backend.wait_for_change(token, PATIENCE)


def test_a_first_state_written_between_a_look_and_the_wait_is_not_missed(
    store: PlainStore, backend: StoreBackend, other: StoreBackend
) -> None:
    original = store.clone

    def clone_late() -> PlainStore:
        write(other)
        return original()

    store.clone = clone_late  # type: ignore[method-assign]
    assert backend.wait_for_change(None, PATIENCE)


def test_a_writer_that_dies_before_it_signals_delays_waiters_no_longer_than_their_timeout(
    store: PlainStore, backend: StoreBackend, raw: Store
) -> None:
    token = write(backend)
    raw.set(f"{RUN}/state", raw.get(f"{RUN}/state").replace(b"state", b"other"))
    assert not backend.wait_for_change(token, 0.05)
    found = backend.get_state()
    assert found is not None
    assert backend.wait_for_change(token, PATIENCE)


def test_one_of_many_racers_creates_the_state_and_all_who_wait_learn_of_it(server: MemoryServer) -> None:
    backends = [StoreBackend(MemoryStore(server), "run") for _ in range(24)]
    waiting = [start(backend.wait_for_change, None, PATIENCE) for backend in backends[:12]]
    standing = together([partial(each.set_state, b"mine") for each in backends[12:]], PATIENCE)
    assert sum(found is not None and found[2] for found in standing) == 1
    assert len({found and found[1] for found in standing}) == 1
    assert all(each.result(PATIENCE) for each in waiting)


def test_an_announcement_is_seen_by_the_listing_after_the_wake_up(
    store: PlainStore, backend: StoreBackend, other: StoreBackend
) -> None:
    token = write(backend)
    listed = backend.members().token
    other.put_member("first", b"1", announce=True)
    # The second announcement rings while the first one's bell is taken down.
    store.before("delete_key", "/bell", lambda: other.put_member("second", b"2", announce=True))
    assert backend.wait_for_change(token, PATIENCE, listed)
    assert backend.members().records.keys() == {"first", "second"}
    other.put_member("third", b"3", announce=True)
    assert backend.wait_for_change(token, PATIENCE, listed)
    assert "third" in backend.members().records


def test_no_announcement_is_missed_by_the_one_who_waits_for_members(server: MemoryServer) -> None:
    coordinator = StoreBackend(MemoryStore(server), "run")
    nodes = [StoreBackend(MemoryStore(server), "run") for _ in range(16)]
    token = write(coordinator)
    latest = {f"n{place}": b"19" for place in range(16)}

    def coordinate() -> bool:
        listed = coordinator.members()
        while listed.records != latest:
            if not coordinator.wait_for_change(token, PATIENCE, listed.token):
                return False
            listed = coordinator.members()
        return True

    def announce(place: int) -> bool:
        for turn in range(20):
            nodes[place].put_member(f"n{place}", b"%d" % turn, announce=True)
        return True

    calls: list[Callable[[], bool]] = [coordinate, *(partial(announce, place) for place in range(16))]
    assert all(together(calls, 2 * PATIENCE))


def test_a_node_that_announces_while_the_index_is_compacted_is_listed(
    store: PlainStore, backend: StoreBackend, other: StoreBackend
) -> None:
    for number in range(40):
        other.put_member(f"gone {number}", b"1", announce=False)
        other.remove_member(f"gone {number}")

    def arrive() -> None:
        other.put_member("gone 7", b"back", announce=True)
        other.put_member("new", b"1", announce=True)

    store.before("compare_set", "member/gone 39", arrive)  # the last that is read before compacting
    backend.members()
    assert backend.members().records == {"gone 7": b"back", "new": b"1"}


def test_the_index_and_the_records_stay_small_under_churn(server: MemoryServer, raw: Store) -> None:
    keepers = [StoreBackend(MemoryStore(server), "run") for _ in range(4)]
    for place, keeper in enumerate(keepers):
        keeper.put_member(f"stays {place}", b"1", announce=True)

    def churn(place: int) -> list[str]:
        unseen = []
        for turn in range(100):
            node = f"{place} {turn}"
            keepers[place].put_member(node, b"1", announce=True)
            if node not in keepers[place].members().records:
                unseen.append(node)
            keepers[place].remove_member(node)
        return unseen

    assert together([partial(churn, place) for place in range(4)], 2 * PATIENCE) == [[]] * 4
    assert keepers[0].members().records.keys() == {f"stays {place}" for place in range(4)}
    records = [key for key in raw.list_keys() if key.startswith(f"{RUN}/member/")]
    assert len(records) < 150, "of 404 nodes that ever were"
    assert len(raw.get(f"{RUN}/index")) < 2500


def test_a_removed_node_that_beats_on_is_listed_again(backend: StoreBackend, other: StoreBackend) -> None:
    backend.put_member("node", b"1", announce=True)
    other.remove_member("node")
    for number in range(40):  # until the node is out of the index
        other.put_member(f"gone {number}", b"1", announce=False)
        other.remove_member(f"gone {number}")
    assert other.members().records == {}
    backend.put_member("node", b"2", announce=False)
    assert other.members().records == {"node": b"2"}


def test_a_heartbeat_that_was_overtaken_by_the_removal_does_not_undo_it(
    store: PlainStore, backend: StoreBackend, other: StoreBackend, raw: Store
) -> None:
    backend.put_member("node", b"1", announce=True)
    record = raw.get(f"{RUN}/member/node")
    other.remove_member("node")
    # The delayed heartbeat, as it would reach the server.
    assert raw.compare_set(f"{RUN}/member/node", record, b"late") == b""
    assert other.members().records == {}


# Loss


def test_a_write_whose_reply_was_lost_is_recognised(
    store: PlainStore, backend: StoreBackend, other: StoreBackend
) -> None:
    token = write(backend)
    other.get_state()
    waiting = start(other.wait_for_change, token, PATIENCE)
    store.lose_reply("compare_set", "/state")
    standing = backend.set_state(b"next", token)
    assert standing == (b"next", standing and standing[1], True)
    assert waiting.result(PATIENCE), "its signal was sent"
    assert other.get_state() == standing[:2]


def test_a_write_that_failed_is_an_error(
    store: PlainStore, backend: StoreBackend, other: StoreBackend
) -> None:
    token = write(backend)

    def fail() -> None:
        write(other, b"other")
        raise RendezvousConnectionError("It was lost on its way.")

    store.before("compare_set", "/state", fail)
    with pytest.raises(RendezvousConnectionError, match="on its way"):
        backend.set_state(b"next", token)
    found = other.get_state()
    assert found is not None
    assert found[0] == b"other"


def test_a_signal_that_is_lost_does_not_fail_the_write(store: PlainStore, backend: StoreBackend) -> None:
    token = write(backend)
    store.before("set", "changed/" + token.split()[1].decode(), lambda: store.lose_reply("set", ""))
    standing = backend.set_state(b"next", token)
    assert standing is not None
    assert standing[2]


@pytest.mark.parametrize("method", ["set", "append", "compare_set"])
def test_a_put_whose_reply_was_lost_can_be_repeated(
    store: PlainStore, backend: StoreBackend, other: StoreBackend, method: str
) -> None:
    if method == "compare_set":
        backend.put_member("node", b"0", announce=False)
    store.lose_reply(method, "index" if method == "append" else "member/node")
    with pytest.raises(RendezvousConnectionError):
        backend.put_member("node", b"1", announce=True)
    backend.put_member("node", b"2", announce=True)
    backend.put_member("node", b"3", announce=False)
    assert other.members().records == {"node": b"3"}


def test_a_lost_state_is_written_anew_and_announced(
    server: MemoryServer, backend: StoreBackend, other: StoreBackend, raw: Store
) -> None:
    token = write(backend)
    raw.delete_key(f"{RUN}/state")
    assert backend.get_state() is None
    assert backend.set_state(b"next", token) is None
    # The signal of the first creation is still there, but nobody takes it for a new one.
    before = server.operations["wait"]
    waiting = start(backend.wait_for_change, None, PATIENCE)
    eventually(lambda: server.operations["wait"] == before + 2, "it waits for a new one")
    assert not waiting.done()
    write(other, b"again")
    assert waiting.result(PATIENCE)


def test_a_wiped_store_is_filled_again_by_heartbeats(
    server: MemoryServer, backend: StoreBackend, other: StoreBackend
) -> None:
    token = write(backend)
    for node in (backend, other):
        node.put_member(f"{id(node)}", b"1", announce=True)
    server.lose()
    assert backend.set_state(b"next", token) is None
    assert backend.members().records == {}
    for node in (backend, other):
        node.put_member(f"{id(node)}", b"2", announce=False)
    assert len(backend.members().records) == 2


def test_members_whose_records_were_lost_do_not_block_the_listing(
    server: MemoryServer, backend: StoreBackend, other: StoreBackend, raw: Store
) -> None:
    for node in ("kept", "lost", "dead"):
        backend.put_member(node, b"1", announce=True)
    for node in ("lost", "dead"):
        raw.delete_key(f"{RUN}/member/{node}")
    assert start(other.members).result(PATIENCE).records == {"kept": b"1"}
    backend.put_member("lost", b"2", announce=False)
    assert other.members().records == {"kept": b"1", "lost": b"2"}
    server.operations.clear()
    other.members()
    assert server.operations["compare_set"] == 3, "once repaired, the index and its two records are looked at"


@pytest.mark.parametrize("value", [b"", b"garbage", b"rdzv1 xyz\nstate", b"rdzv1\nstate", b"rdzv2 00\nstate"])
def test_what_is_no_state_is_named_as_such(backend: StoreBackend, raw: Store, value: bytes) -> None:
    raw.set(f"{RUN}/state", value)
    with pytest.raises(RendezvousStateError, match=r"'rendezvous-run/run/state'.*choose another run id"):
        backend.get_state()


# Ends


def test_a_closed_backend_refuses_all_calls_and_leaves_the_store_alone(
    store: PlainStore, backend: StoreBackend
) -> None:
    write(backend)
    backend.close()
    backend.close()
    for call in (backend.get_state, backend.members, lambda: backend.wait_for_change(None, PATIENCE)):
        with pytest.raises(RendezvousConnectionError, match="'store' was closed"):
            call()
    assert store.check([f"{RUN}/state"])


def test_close_ends_a_wait_with_its_slice(backend: StoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_backend, "_SLICE", 0.05)
    waiting = start(backend.wait_for_change, write(backend), PATIENCE)
    assert is_blocked(waiting, 0.2)
    backend.close()
    assert waiting.result(PATIENCE) is False


def test_an_empty_run_id_is_refused(store: PlainStore) -> None:
    with pytest.raises(ValueError, match="run id must be a non-empty string"):
        StoreBackend(store, "")


def test_a_connection_that_broke_in_a_wait_is_not_used_again(
    store: PlainStore, backend: StoreBackend
) -> None:
    token = write(backend)
    assert not backend.wait_for_change(token, 0.01)
    store.clones[0].lose_reply("wait", "")
    store.clones[0].before("wait", "", lambda: store.set(f"{RUN}/changed/{token.split()[1].decode()}", b"1"))
    with pytest.raises(RendezvousConnectionError):
        backend.wait_for_change(token, PATIENCE)
    assert backend.wait_for_change(token, PATIENCE)
    assert len(store.clones) == 2
