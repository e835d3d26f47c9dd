"""The kit's proxy does to connections what networks do to them."""

import socket
import threading
from collections.abc import Iterator

import pytest

from rendezvous_core.testing import Proxy

PATIENCE = 30.0
MOMENT = 0.1


class Echo:
    """A server that sends back what it gets, and counts who has hung up."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.hung_up = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(100):
                connection.sendall(data)
        self.hung_up.release()


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


def connect(proxy: Proxy) -> socket.socket:
    client = socket.create_connection((proxy.host, proxy.port), PATIENCE)
    assert answer(client, b"hello") == b"hello"
    return client


def answer(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return client.recv(100)


def test_forget(echo: Echo) -> None:
    """Nothing passes over a forgotten connection, neither end is told; new connections work."""
    with Proxy("127.0.0.1", echo.port) as proxy, connect(proxy) as forgotten:
        proxy.forget()
        forgotten.settimeout(MOMENT)
        with pytest.raises(TimeoutError):
            answer(forgotten, b"more")
        with connect(proxy) as client:
            assert answer(client, b"more") == b"more"
        assert echo.hung_up.acquire(timeout=PATIENCE)
        forgotten.close()
        assert not echo.hung_up.acquire(timeout=MOMENT)
        proxy.cut()
        assert echo.hung_up.acquire(timeout=PATIENCE)


def test_cut_after_forgetting(echo: Echo) -> None:
    """What was forgotten can still be cut, which the client is told."""
    with Proxy("127.0.0.1", echo.port) as proxy, connect(proxy) as client:
        proxy.forget()
        proxy.cut()
        assert client.recv(100) == b""
