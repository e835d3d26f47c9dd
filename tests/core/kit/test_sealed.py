"""What is sealed keeps the contracts of what keeps it: the kit, over a seal."""

from collections.abc import Callable
from typing import ClassVar

import pytest

from rendezvous_core.sealing.backend import SealedBackend
from rendezvous_core.sealing.keys import Keyring
from rendezvous_core.sealing.store import SealedStore
from rendezvous_core.testing import MembershipSuite, MemoryBackend, MemoryServer, MemoryStore, StoreSuite
from rendezvous_core.testing.suites.base import Suite

SECRET = "the secret of these tests"
MEMORY = {
    "server": "a class in this process",
    "durability": "all is in memory",
    "link": "no wire leads to it",
    "corrupt": "who can damage memory can damage its user",
    "process_factory": "all is in the memory of this process",
}


class Sealed(Suite):
    lacks: ClassVar = MEMORY


class TestBackend(Sealed, MembershipSuite):
    @pytest.fixture
    def backend_factory(self) -> Callable[[str], SealedBackend]:
        server, keyring = MemoryServer(), Keyring(SECRET)
        return lambda run_id: SealedBackend(MemoryBackend(server, run_id), keyring, run_id)


class TestStore(Sealed, StoreSuite):
    @pytest.fixture
    def store_factory(self) -> Callable[[str], SealedStore]:
        server, keyring = MemoryServer(), Keyring(SECRET)
        return lambda run_id: SealedStore(MemoryStore(server, run_id), keyring, run_id)
