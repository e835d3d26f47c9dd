"""The reference passes the kit."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters
from rendezvous_core.dynamic.creation import create_handler
from rendezvous_core.testing import (
    HandlerSuite,
    MembershipSuite,
    MemoryBackend,
    MemoryServer,
    MemoryStore,
    StoreSuite,
)

NO_SERVER = {
    "server": "its server is an object of this process",
    "process_factory": "its server is an object of this process",
    "link": "there is no connection that could break",
}


class TestBackend(MembershipSuite):
    lacks: ClassVar = {**NO_SERVER, "corrupt": "any bytes are a state"}

    @pytest.fixture
    def backend_factory(self) -> Callable[[str], MemoryBackend]:
        server = MemoryServer()
        return lambda run_id: MemoryBackend(server, run_id)


class TestStore(StoreSuite):
    lacks: ClassVar = NO_SERVER

    @pytest.fixture
    def store_factory(self) -> Callable[[str], MemoryStore]:
        server = MemoryServer()
        return lambda run_id: MemoryStore(server, run_id)


class TestHandler(HandlerSuite):
    lacks: ClassVar = {"server": "its server is an object of this process"}

    @pytest.fixture
    def handler_factory(self) -> Callable[..., RendezvousHandler]:
        server = MemoryServer()

        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            params = RendezvousParameters("memory", "", run_id, min_nodes, max_nodes, **options)
            return create_handler(MemoryStore(server, run_id), MemoryBackend(server, run_id), params)

        return create
