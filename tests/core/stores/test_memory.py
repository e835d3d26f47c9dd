"""What is particular to the reference: its counters, its faults, and whom it wakes."""

import subprocess
import sys
from typing import Any

import pytest

from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from rendezvous_core.testing.suites.threads import is_blocked, start
from tests.core.stores.parts import PATIENCE, eventually


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def backend(server: MemoryServer) -> MemoryBackend:
    return MemoryBackend(server, "run")


def token_of(standing: tuple[bytes, Any, bool] | None) -> Any:
    assert standing is not None
    assert standing[2]
    return standing[1]


def test_importing_it_loads_no_test_library() -> None:
    program = "import sys, rendezvous_core.testing.memory; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert "rendezvous_core.testing.memory" in loaded
    assert not {"pytest", "hypothesis"}.intersection(loaded)


def test_the_server_counts_operations_and_what_they_carry(
    server: MemoryServer, backend: MemoryBackend
) -> None:
    token = token_of(backend.set_state(b"12345"))
    backend.get_state()
    backend.put_member("a", b"123", announce=True)
    backend.members()
    backend.wait_for_change(token, 0)
    store = MemoryStore(server, "run")
    store.multi_set(["a", "b"], [b"12", b"3"])
    store.get("a")
    store.wait(["b"])
    assert server.operations == {
        "set_state": 1,
        "get_state": 1,
        "put_member": 1,
        "members": 1,
        "wait_for_change": 1,
        "multi_set": 1,
        "get": 1,
        "wait": 1,
    }
    assert +server.carried == {
        "set_state": 5,
        "get_state": 5,
        "put_member": 3,
        "members": 3,
        "multi_set": 3,
        "get": 2,
    }
    server.operations.clear()
    server.carried.clear()
    backend.get_state()
    assert (server.operations.total(), server.carried.total()) == (1, 5)


def test_a_blocked_call_counts_once(server: MemoryServer, backend: MemoryBackend) -> None:
    waiting = start(backend.wait_for_change, None, PATIENCE)
    eventually(lambda: server.operations["wait_for_change"], "it blocks")
    backend.set_state(b"state")
    assert waiting.result(PATIENCE)
    assert server.operations["wait_for_change"] == 1
    store = MemoryStore(server)
    reading = start(store.multi_get, ["a", "b"])
    eventually(lambda: server.operations["multi_get"], "it blocks")
    store.set("a", b"1")
    store.set("b", b"2")
    assert reading.result(PATIENCE) == [b"1", b"2"]
    assert server.operations["multi_get"] == 1


def test_a_key_that_was_there_for_a_moment_has_ended_the_waits_for_it(server: MemoryServer) -> None:
    store = MemoryStore(server)
    waiting = [start(store.wait, ["key"]) for _ in range(8)]
    eventually(lambda: server.operations["wait"] == 8, "all wait")
    store.set("key", b"")
    store.delete_key("key")
    for each in waiting:
        each.result(PATIENCE)


def test_loss_wakes_those_who_wait_for_a_change(server: MemoryServer, backend: MemoryBackend) -> None:
    token = token_of(backend.set_state(b"state"))
    waiting = start(backend.wait_for_change, token, PATIENCE)
    eventually(lambda: server.operations["wait_for_change"], "it waits")
    server.lose()
    assert waiting.result(PATIENCE)
    assert backend.get_state() is None
    assert backend.set_state(b"next", token) is None


def test_restore_brings_back_state_members_and_keys(server: MemoryServer, backend: MemoryBackend) -> None:
    store = MemoryStore(server, "run")
    token = token_of(backend.set_state(b"old"))
    backend.put_member("node", b"old", announce=False)
    store.set("key", b"old")
    snapshot = server.snapshot()
    newer = token_of(backend.set_state(b"new", token))
    backend.put_member("node", b"new", announce=False)
    store.set("key", b"new")
    waiting = start(backend.wait_for_change, newer, PATIENCE)
    server.restore(snapshot)
    assert waiting.result(PATIENCE)
    assert backend.get_state() == (b"old", token)
    assert backend.members().records == {"node": b"old"}
    assert store.get("key") == b"old"
    # What is written after a failover gets no token that was given out before it.
    assert token_of(backend.set_state(b"newest", token)) != newer


def test_a_key_that_a_restore_brings_ends_a_wait(server: MemoryServer) -> None:
    store = MemoryStore(server)
    store.set("key", b"1")
    snapshot = server.snapshot()
    server.lose()
    reading = start(store.get, "key")
    assert is_blocked(reading, 0.05)
    server.restore(snapshot)
    assert reading.result(PATIENCE) == b"1"


def test_only_those_concerned_are_woken(server: MemoryServer, backend: MemoryBackend) -> None:
    token, listed = token_of(backend.set_state(b"state")), backend.members().token
    store, elsewhere = MemoryStore(server, "run"), MemoryBackend(server, "elsewhere")
    followers = [start(backend.wait_for_change, token, PATIENCE) for _ in range(64)]
    coordinator = start(backend.wait_for_change, token, PATIENCE, listed)
    reader = start(store.get, "key")
    eventually(lambda: server.operations["wait_for_change"] == 65, "all wait")
    backend.put_member("node", b"1", announce=True)
    assert coordinator.result(PATIENCE)
    elsewhere.set_state(b"other")
    store.set("other", b"1")
    assert not reader.done()
    assert not any(each.done() for each in followers)
    backend.set_state(b"next", token)
    assert all(each.result(PATIENCE) for each in followers)
    assert not reader.done()
    store.set("key", b"1")
    assert reader.result(PATIENCE) == b"1"


def test_hundreds_wait_on_one_server(server: MemoryServer) -> None:
    backends = [MemoryBackend(server, "run") for _ in range(512)]
    waiting = [start(each.wait_for_change, None, PATIENCE) for each in backends]
    eventually(lambda: server.operations["wait_for_change"] == 512, "all wait")
    backends[0].set_state(b"state")
    assert all(each.result(PATIENCE) for each in waiting)


def test_close_ends_the_waits_of_one_client(server: MemoryServer, backend: MemoryBackend) -> None:
    other = MemoryBackend(server, "run")
    waits = [start(each.wait_for_change, None, PATIENCE) for each in (backend, other)]
    eventually(lambda: server.operations["wait_for_change"] == 2, "both wait")
    backend.close()
    assert waits[0].result(PATIENCE) is False
    assert not waits[1].done()
    other.set_state(b"state")
    assert waits[1].result(PATIENCE)


def test_waiting_leaves_nothing_behind(server: MemoryServer, backend: MemoryBackend) -> None:
    store = MemoryStore(server, timeout=0.01)
    for _ in range(3):
        assert not backend.wait_for_change(None, 0.01)
        with pytest.raises(TimeoutError):
            store.get("key")
    assert not server._latches


@pytest.mark.parametrize("snapshot", [None, "text"])
def test_restore_refuses_what_is_no_snapshot(server: MemoryServer, snapshot: object) -> None:
    with pytest.raises(TypeError, match="what snapshot returned"):
        server.restore(snapshot)
