"""The reference passes the kit."""

from collections.abc import Callable
from typing import ClassVar

import pytest

from rendezvous_core.testing import (
    MembershipSuite,
    MemoryBackend,
    MemoryServer,
    MemoryStore,
    StoreSuite,
)

NO_SERVER = {
    "server": "its server is an object of this process",
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
