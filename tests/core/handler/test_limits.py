"""Limits hold though every call of the backend, or of the store, hangs."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from rendezvous_core import (
    DynamicRendezvousHandler,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousInfo,
    RendezvousTimeout,
)
from rendezvous_core.ports.store import Value
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from tests.core.handler.groups import PATIENCE, Faulty

LIMIT = 0.3
HEARTBEAT = 0.5


class Hanging(Faulty):
    """While ``hung``, no call comes back."""

    def __init__(self, backend: MemoryBackend) -> None:
        super().__init__(backend)
        self.goes = threading.Event()
        self.goes.set()

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self.goes.wait()
        return super()._call(name, *args, **kwargs)

    def close(self) -> None:
        self.goes.wait()


class HangingStore(MemoryStore):
    """A store that takes no bootstrap address."""

    goes = threading.Event()

    def multi_set(self, keys: Any, values: Any) -> None:
        self.goes.wait()

    def write_all(self, writes: Any) -> None:
        self.goes.wait()

    def set(self, key: str, value: Value) -> None:
        self.goes.wait()


class Node:
    """One node of a run of its own."""

    def __init__(self, store: Callable[[MemoryServer], MemoryStore] = MemoryStore) -> None:
        server = MemoryServer()
        self.backend = Hanging(MemoryBackend(server, "run"))
        limit = timedelta(seconds=LIMIT)
        self.handler = DynamicRendezvousHandler.from_backend(
            "run",
            store(server),
            self.backend,
            1,
            1,
            "localhost",
            RendezvousTimeout(limit, limit, limit, timedelta(seconds=HEARTBEAT)),
            keep_alive_interval=0.2,
        )

    def close(self) -> None:
        self.backend.goes.set()
        self.handler.shutdown()


@pytest.fixture
def node() -> Iterator[Node]:
    one = Node()
    one.handler.next_rendezvous()
    one.backend.goes.clear()
    yield one
    one.close()


def timed(call: Callable[[], object]) -> object:
    """What the call returns or raises; it must not outlast its limit by more than a heartbeat's patience."""
    began = time.monotonic()
    try:
        return call()
    except RendezvousError as error:
        return error
    finally:
        # Twice: the machine may be busy. What waits for a backend here waits without end.
        assert time.monotonic() - began < 2 * (LIMIT + HEARTBEAT)


def test_leaving(node: Node) -> None:
    assert timed(node.handler.leave) is False


def test_shutting_down(node: Node) -> None:
    assert timed(node.handler.shutdown) is False


def test_closing(node: Node) -> None:
    assert isinstance(timed(node.handler.set_closed), RendezvousConnectionError)


def test_asking(node: Node) -> None:
    assert isinstance(timed(node.handler.next_rendezvous), RendezvousConnectionError)


def test_asking_whether_it_is_closed(node: Node) -> None:
    node.handler.leave()
    timed(node.handler.is_closed)


def test_waiting_for_a_change(node: Node) -> None:
    assert timed(lambda: node.handler.wait_for_membership_change(LIMIT)) is False


def test_publishing_where_workers_meet() -> None:
    one = Node(HangingStore)
    try:
        assert isinstance(timed(one.handler.next_rendezvous), RendezvousConnectionError)
    finally:
        HangingStore.goes.set()
        one.close()


def test_the_next_ask_works_when_the_backend_is_back(node: Node) -> None:
    node.handler.leave()
    node.backend.goes.set()
    infos: list[RendezvousInfo] = []
    asking = threading.Thread(target=lambda: infos.append(node.handler.next_rendezvous()))
    asking.start()
    asking.join(PATIENCE)
    assert infos[0].rank == 0
