"""How many connections a node keeps, and what becomes of those that somebody on the way has forgotten."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from torch.distributed import TCPStore

from rendezvous_c10d import _connections, create_backend
from rendezvous_c10d._c10d_store import C10dStore
from rendezvous_c10d._client import Client
from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousParameters,
    get_rendezvous_handler,
)
from rendezvous_core.ports.endpoint import Endpoint
from rendezvous_core.testing import Proxy
from rendezvous_core.testing.suites.threads import is_blocked, start, together
from tests.c10d.agents import until
from tests.c10d.servers import TcpStoreServer

PATIENCE = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[TcpStoreServer]:
    server = TcpStoreServer()
    yield server
    server.stop()


@pytest.fixture
def link(server: TcpStoreServer) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", server.port) as link:
        yield link


def store_over(link: Proxy, seconds: float) -> C10dStore:
    client = TCPStore(link.host, link.port, is_master=False, timeout=timedelta(seconds=seconds))
    return C10dStore(client, is_shared=False)


def test_a_call_over_forgotten_connections_loses_one_answer(link: Proxy) -> None:
    """The next one has a connection of its own, and so have all that come at the same time."""
    store = store_over(link, 1)
    with store._connections._client(), store._connections._client(), store._connections._client():
        pass  # three that are equal
    link.forget()
    with pytest.raises(RendezvousConnectionError, match=r"no answer for 1(\.\d)? s"):
        store.set("key", "value")
    for _ in range(3):
        store.set("key", "value")
    together([lambda: store.get("key") for _ in range(3)], PATIENCE)
    store.close()


def test_what_was_idle_for_long_is_not_used_again(link: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Middleboxes forget what says nothing: they are not put to the test."""
    store = store_over(link, PATIENCE)
    monkeypatch.setattr(_connections, "_AGE", 0.0)
    store.set("key", "value")
    link.forget()
    assert store.get("key") == b"value"
    store.close()


def test_nobody_acknowledges(server: TcpStoreServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives up long before an answer's patience is over; that is not a wait whose time is over."""
    client = Client(Endpoint("127.0.0.1", server.port), PATIENCE)
    options = {name: client._socket.getsockopt(6, number) for name, number in SOCKET_OPTIONS.items()}
    assert options == {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 10_000}

    def dead(size: int) -> bytes:
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(client, "_receive", lambda: dead(1))
    with pytest.raises(TimeoutError, match="Connection timed out"):
        client.wait(["never"], PATIENCE)
    client.close()


SOCKET_OPTIONS = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6, "TCP_USER_TIMEOUT": 18}


def test_an_idle_node_keeps_two_connections(link: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that beats and waits for news, and one for C++ code; what a busy time opened is closed again."""
    monkeypatch.setattr(_connections, "_AGE", 0.3)
    handlers = [
        get_rendezvous_handler(
            RendezvousParameters(
                "c10d",
                link.endpoint,
                "run",
                2,
                2,
                f"127.0.0.{number}",
                is_host=False,
                keep_alive_interval=0.1,
            )
        )
        for number in (2, 3)
    ]
    infos = together([handler.next_rendezvous for handler in handlers], PATIENCE)
    waiting = [start(info.store.get, f"later{number}") for number in range(3) for info in infos]
    assert all(is_blocked(each, 0.1) for each in waiting)
    for number in range(3):
        infos[0].store.set(f"later{number}", "now")
    for each in waiting:
        each.result(PATIENCE)
    until(lambda: len(link._connections) <= 2 * len(handlers), "the end of idle connections")
    for handler in handlers:
        handler.shutdown()


def test_opening_a_backend_takes_two(link: Proxy) -> None:
    backend, _ = create_backend(RendezvousParameters("c10d", link.endpoint, "one", 1, 1, is_host=False))
    backend.set_state(b"state")
    assert backend.get_state()
    assert len(link._connections) <= 2
    backend.close()
