"""Replies that are lost, and calls that arrive late: nothing is done twice, and no outcome is guessed."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rendezvous_core import RendezvousConnectionError
from rendezvous_core.testing import Proxy
from rendezvous_redis import RedisRendezvousBackend, RedisRun, RedisServer, RedisStore
from rendezvous_redis._scripts import PUT_MEMBER, REMOVE_MEMBER, SET_STATE, Script
from rendezvous_redis._store_scripts import ADD
from tests.redis.conftest import OpenRun
from tests.support.suspending import suspend

DOUBT = "may have been written or not"


@pytest.fixture
def proxy(shared_server: RedisServer) -> Iterator[Proxy]:
    with Proxy(shared_server.host, shared_server.port) as proxy:
        yield proxy


LOSABLE: dict[str, tuple[Callable[[RedisStore], object], object]] = {
    "compare_set": (lambda store: store.compare_set("key", b"old", b"new"), b"new"),
    "delete_key": (lambda store: store.delete_key("key"), True),
    "queue_pop": (lambda store: store.queue_pop("queue"), b"one"),
    "queue_push": (lambda store: store.queue_push("queue", b"three"), None),
}


@pytest.mark.parametrize("method", LOSABLE)
def test_lost_replies(method: str, proxy: Proxy, open_run: OpenRun) -> None:
    """A write whose reply is lost is sent again, has happened once, and tells what it did the first time."""
    store = RedisStore(open_run(proxy.endpoint))
    for item in (b"one", b"two"):
        store.queue_push("queue", item)
    store.set("key", b"old")
    call, result = LOSABLE[method]
    with proxy.lose_reply() as lost:
        assert call(store) == result
        assert lost.is_set()
    assert store.queue_len("queue") == {"queue_pop": 1, "queue_push": 3}.get(method, 2)
    assert store.check(["key"]) == (method != "delete_key")


def test_a_state_that_others_wrote_over(
    proxy: Proxy, shared_server: RedisServer, open_run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is asked again about a write that others have built on says that it was done, not refused."""
    backend = RedisRendezvousBackend(open_run(proxy.endpoint))
    other = RedisRendezvousBackend(open_run(shared_server.endpoint))
    first = backend.set_state(b"first")
    assert first
    client = backend.run.client
    take = client._take

    def take_late(deadline: float) -> Any:
        if lost.is_set() and (found := other.get_state()) and found[0] == b"second":
            assert other.set_state(b"third", found[1])
        return take(deadline)

    monkeypatch.setattr(client, "_take", take_late)
    with proxy.lose_reply() as lost:
        written = backend.set_state(b"second", first[1])
    assert written
    assert (written[0], written[2]) == (b"second", True)
    found = backend.get_state()
    assert found
    assert found[0] == b"third"


def test_what_was_refused_once(proxy: Proxy, open_run: OpenRun) -> None:
    """A conflict whose reply is lost is told when it is asked for again."""
    backend = RedisRendezvousBackend(open_run(proxy.endpoint))
    standing = backend.set_state(b"standing")
    with proxy.lose_reply() as lost:
        assert backend.set_state(b"other") == (standing and (*standing[:2], False))
        assert lost.is_set()


WRITES: dict[str, Callable[[RedisRun], object]] = {
    "set": lambda run: RedisStore(run).set("key", b"value"),
    "queue_pop": lambda run: RedisStore(run).queue_pop("queue", block=False),
    "set_state": lambda run: RedisRendezvousBackend(run).set_state(b"state"),
    "put_member": lambda run: RedisRendezvousBackend(run).put_member("node", b"record", announce=True),
    "remove_member": lambda run: RedisRendezvousBackend(run).remove_member("node"),
}


@pytest.mark.parametrize("method", WRITES)
def test_doubt_is_told(method: str, own_server: RedisServer, open_run: OpenRun) -> None:
    """An error says so where the call may have been carried out, and only there."""
    run = open_run(own_server.endpoint, read_timeout=0.5)
    suspend(own_server.pid)
    with pytest.raises(RendezvousConnectionError, match=DOUBT):
        WRITES[method](run)
    with pytest.raises(RendezvousConnectionError) as caught:
        RedisStore(run).num_keys()
    assert DOUBT not in str(caught.value)
    os.kill(own_server.pid, signal.SIGKILL)
    own_server.stop()
    with pytest.raises(RendezvousConnectionError) as caught:
        WRITES[method](run)
    assert DOUBT not in str(caught.value)


def perform(run: RedisRun, script: Script, keys: list[str], number: int, *arguments: object) -> object:
    """Have the call of that ``number`` arrive."""
    every = (*keys, f"{run.keys.values}:call")
    return run.client.call_script(lambda reply: reply, script, every, number, 60, *arguments, patience=1)


def test_calls_that_arrive_late(shared_server: RedisServer, open_run: OpenRun) -> None:
    """A call that the network delivers once more, even behind its successor, does nothing."""
    run = open_run(shared_server.endpoint)
    store = RedisStore(run)

    def add(number: int, amount: int) -> object:
        return perform(run, ADD, [run.keys.values, run.keys.waiters], number, 60_000, "key", amount)

    assert add(1, 10) == b"10"
    store.add("key", 100)
    assert add(1, 10) == b"10"
    assert add(2, 5) == b"115"
    assert add(1, 10) == b"115"
    assert store.get("key") == b"115"


def test_members_that_arrive_late(shared_server: RedisServer, open_run: OpenRun) -> None:
    """A record that arrives behind a newer one, or behind the node's departure, does not come back."""
    run = open_run(shared_server.endpoint)
    backend = RedisRendezvousBackend(run)

    def put(number: int, record: bytes) -> None:
        perform(run, PUT_MEMBER, list(run.keys)[2:7], number, 60_000, "node", record, 0, 60)

    put(2, b"new")
    put(1, b"old")
    assert backend.members().records == {"node": b"new"}
    perform(run, REMOVE_MEMBER, [run.keys.members], 3, "node")
    put(2, b"new")
    assert not backend.members().records


def test_a_pause_keeps_the_order(own_server: RedisServer, open_run: OpenRun) -> None:
    """What a paused server finds when it comes back, in any order, does not bring back a node that left."""
    run = open_run(own_server.endpoint, read_timeout=0.5)
    backend = RedisRendezvousBackend(run)
    backend.put_member("node", b"record", announce=True)
    suspend(own_server.pid)
    with pytest.raises(RendezvousConnectionError, match=DOUBT):
        backend.put_member("node", b"late", announce=True)
    with pytest.raises(RendezvousConnectionError, match=DOUBT):
        backend.remove_member("node")
    os.kill(own_server.pid, signal.SIGCONT)
    for _ in range(20):
        assert backend.members().records in ({}, {"node": b"record"}, {"node": b"late"})
    backend.remove_member("node")
    for _ in range(20):
        assert not backend.members().records
    # The numbers are those of one client: another one may put the node anew.
    RedisRendezvousBackend(open_run(own_server.endpoint)).put_member("node", b"anew", announce=True)
    assert backend.members().records == {"node": b"anew"}


def test_repeated_state(shared_server: RedisServer, open_run: OpenRun) -> None:
    """A first state that arrives late, when there is one, is the one that was written or refused."""
    run = open_run(shared_server.endpoint)
    backend = RedisRendezvousBackend(run)

    def write() -> object:
        keys = [run.keys.state, run.keys.news]
        return perform(run, SET_STATE, keys, 1, 60_000, b"", "0" * 32, b"mine")

    token = write()
    assert write() == token
    assert backend.get_state() == (b"mine", token)
    assert isinstance(token, bytes)
    theirs = backend.set_state(b"theirs", token)
    assert theirs
    assert write() == token
    assert backend.get_state() == (b"theirs", theirs[1])
