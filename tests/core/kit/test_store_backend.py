"""Any store makes a backend that passes the kit."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters
from rendezvous_core.dynamic.creation import create_handler
from rendezvous_core.over_store.backend import StoreBackend
from rendezvous_core.testing import HandlerSuite, MembershipSuite, MemoryServer, MemoryStore, Proxy
from tests.core.kit.remote import RemoteServer, RemoteStore
from tests.core.kit.test_remote import Remote


def open_backend(port: int, run_id: str) -> StoreBackend:
    return StoreBackend(RemoteStore(port, "all runs"), run_id)


class TestOnMemory(MembershipSuite):
    lacks: ClassVar = {
        "server": "its server is an object of this process",
        "process_factory": "its server is an object of this process",
        "link": "there is no connection that could break",
    }

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore(MemoryServer())

    @pytest.fixture
    def backend_factory(self, store: MemoryStore) -> Callable[[str], StoreBackend]:
        return lambda run_id: StoreBackend(store, run_id)

    @pytest.fixture
    def corrupt(self, store: MemoryStore) -> Callable[[str], object]:
        return lambda run_id: store.set(f"rendezvous-run/{run_id}/state", b"garbage")


class TestOnServer(Remote, MembershipSuite):
    lacks: ClassVar = {"corrupt": "is tested in memory"}

    @pytest.fixture
    def backend_factory(self, link: Proxy, server: RemoteServer) -> Callable[[str], StoreBackend]:
        return partial(open_backend, link.port)


class TestHandler(Remote, HandlerSuite):
    @pytest.fixture
    def handler_factory(self, link: Proxy) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            store = RemoteStore(link.port, "all runs")
            params = RendezvousParameters("store", "", run_id, min_nodes, max_nodes, **options)
            return create_handler(store, StoreBackend(store, run_id), params)

        return create
