"""How many connections there are, and what becomes of those that died without a word."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from enum import Enum
from typing import Any, cast

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.testing import Proxy
from rendezvous_core.testing.suites.threads import is_blocked, start
from rendezvous_redis import RedisRendezvousBackend, RedisRun, RedisServer, RedisStore, _client
from rendezvous_redis._link import Link
from tests.redis.conftest import OpenRun
from tests.redis.groups import PATIENCE, ask, until

MOMENT = 0.2


@pytest.fixture
def proxy(shared_server: RedisServer) -> Iterator[Proxy]:
    with Proxy(shared_server.host, shared_server.port) as proxy:
        yield proxy


def open_links(run: RedisRun, number: int) -> None:
    """Have so many connections, by using them at once."""
    together = threading.Barrier(number)

    def use(link: Link) -> None:
        link.exchange(("HLEN", run.keys.values))
        together.wait(PATIENCE)

    for each in [start(run.client.run, use, PATIENCE) for _ in range(number)]:
        each.result(PATIENCE)
    assert len(run.client._idle) == number


def connections(server: RedisServer) -> int:
    """How many clients the server has, but for the one that asks."""
    return len(cast("bytes", ask(server, "CLIENT", "LIST")).splitlines()) - 1


def test_forgotten_connections(proxy: Proxy, open_run: OpenRun) -> None:
    """However many idle connections have died unseen, a call loses the patience for one answer.

    Twice that is all the patience that the backend has.
    """
    run = open_run(proxy.endpoint, read_timeout=2.0)
    backend, store = RedisRendezvousBackend(run), RedisStore(run)
    for call in (backend.get_state, lambda: store.set("key", b"value"), lambda: store.add("number", 1)):
        open_links(run, 6)
        proxy.forget()
        call()
    assert store.add("number", 0) == 1


def test_forgotten_waits(proxy: Proxy, shared_server: RedisServer, open_run: OpenRun) -> None:
    """Waits over connections that have died unseen end all the same."""
    run, other = open_run(proxy.endpoint, read_timeout=2.0), open_run(shared_server.endpoint)
    waiting: list[Future[Any]] = [
        start(RedisStore(run).get, "key"),
        start(RedisStore(run).queue_pop, "queue"),
        start(RedisRendezvousBackend(run).wait_for_change, None, PATIENCE),
    ]
    assert all(is_blocked(each, MOMENT) for each in waiting)
    proxy.forget()
    RedisStore(other).set("key", b"value")
    RedisStore(other).queue_push("queue", b"item")
    RedisRendezvousBackend(other).set_state(b"state")
    assert [each.result(PATIENCE) for each in waiting] == [b"value", b"item", True]


def test_handlers_over_forgotten_connections(proxy: Proxy, run_id: str) -> None:
    """A round goes on, and the next one forms, when all connections have died unseen."""
    handlers = [create(proxy.endpoint, run_id, 2) for _ in range(2)]
    for _ in range(2):
        infos = [each.result(PATIENCE) for each in [start(each.next_rendezvous) for each in handlers]]
        assert sorted(info.rank for info in infos) == [0, 1]
        proxy.forget()
    for handler in handlers:
        handler.shutdown()


def test_young_connections_are_kept(proxy: Proxy, open_run: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been idle for too long is closed by the next call, the rest is used again."""
    run = open_run(proxy.endpoint)
    open_links(run, 6)
    before = set(run.client._idle)
    RedisStore(run).num_keys()
    assert set(run.client._idle) == before
    monkeypatch.setattr(_client, "_AGE", 0.0)
    RedisStore(run).num_keys()
    assert not before & set(run.client._idle)
    assert not any(link.is_open for link in before)


def test_two_connections_per_idle_node(
    own_server: RedisServer, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a node has used before, while it runs and stores nothing it keeps two connections."""
    monkeypatch.setattr(_client, "_AGE", 0.5)
    handlers = [create(own_server.endpoint, run_id, 3) for _ in range(3)]
    infos = [each.result(PATIENCE) for each in [start(each.next_rendezvous) for each in handlers]]
    for info in infos:
        reading = [start(info.store.get, f"key/{info.rank}") for _ in range(10)]
        info.store.set(f"key/{info.rank}", b"value")
        assert {each.result(PATIENCE) for each in reading} == {b"value"}
        for adding in [start(info.store.add, "number", 1) for _ in range(20)]:
            adding.result(PATIENCE)
    until(lambda: connections(own_server) <= 2 * len(handlers))
    assert [handler.num_nodes_waiting() for handler in handlers] == [0, 0, 0]
    for handler in handlers:
        handler.shutdown()
    until(lambda: connections(own_server) == 0)


def test_keep_alive(shared_server: RedisServer, open_run: OpenRun) -> None:
    """The kernel is asked to notice dead connections, and to keep idle ones in the tables on the way."""
    run = open_run(shared_server.endpoint)
    open_links(run, 1)
    (link,) = run.client._idle
    sock = cast("socket.socket", link._connection._sock)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"):
        if hasattr(socket, name):
            assert sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) <= 15
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000


def create(endpoint: str, run_id: str, nodes: int) -> RendezvousHandler:
    params = RendezvousParameters(
        "redis", endpoint, run_id, nodes, nodes, keep_alive_interval=0.5, keep_alive_max_attempt=40
    )
    return get_rendezvous_handler(params)


def test_whatever_stands_for_text_or_bytes_is_sent_as_that(
    shared_server: RedisServer, open_run: OpenRun
) -> None:
    class Key(str, Enum):  # noqa: UP042 - a StrEnum is its value to str() as well
        ONE = "one"

    run = open_run(shared_server.endpoint)
    RedisStore(run).set(Key.ONE, b"1")
    assert RedisStore(run).get("one") == b"1"
    backend = RedisRendezvousBackend(run)
    backend.put_member("a", bytearray(b"record"), announce=False)  # type: ignore[arg-type]
    backend.put_member("b", memoryview(b"another"), announce=False)  # type: ignore[arg-type]
    assert backend.members().records == {"a": b"record", "b": b"another"}
