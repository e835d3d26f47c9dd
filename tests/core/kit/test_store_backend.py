"""Any store makes a backend that passes the kit."""

from collections.abc import Callable
from typing import ClassVar

import pytest

from rendezvous_core._store_backend import StoreBackend
from rendezvous_core.testing import MembershipSuite, MemoryServer, MemoryStore, Proxy
from tests.core.kit.remote import RemoteServer, RemoteStore
from tests.core.kit.test_remote import Remote


class TestOnMemory(MembershipSuite):
    lacks: ClassVar = {
        "server": "its server is an object of this process",
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
        return lambda run_id: StoreBackend(RemoteStore(link.port, "all runs"), run_id)
