"""A bare register, with what core builds on one, passes the kit."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from rendezvous_core import RendezvousBackend, RendezvousHandler, RendezvousParameters, Token
from rendezvous_core.dynamic.creation import create_handler
from rendezvous_core.over_register.backend import RegisterBackend
from rendezvous_core.over_register.store import RegisterStore
from rendezvous_core.testing import (
    BackendSuite,
    HandlerSuite,
    MembershipSuite,
    MemoryBackend,
    MemoryServer,
    StoreSuite,
)

LACKS = {
    "server": "its server is an object of this process",
    "process_factory": "its server is an object of this process",
    "link": "there is no connection that could break",
}


class Register(RendezvousBackend):
    """Hides the members of a memory backend."""

    def __init__(self, server: MemoryServer, run_id: str) -> None:
        self._backend = MemoryBackend(server, run_id)

    @property
    def name(self) -> str:
        return "register"

    def get_state(self) -> tuple[bytes, Token] | None:
        return self._backend.get_state()

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        return self._backend.set_state(state, token)

    def close(self) -> None:
        self._backend.close()


@pytest.fixture
def register_factory() -> Callable[[str], Register]:
    server = MemoryServer()
    return lambda run_id: Register(server, run_id)


class TestRegister(BackendSuite):
    lacks: ClassVar = {**LACKS, "corrupt": "any bytes are a state"}

    @pytest.fixture
    def backend_factory(self, register_factory: Callable[[str], Register]) -> Callable[[str], Register]:
        return register_factory


class TestBackend(MembershipSuite):
    lacks: ClassVar = LACKS

    @pytest.fixture
    def backend_factory(
        self, register_factory: Callable[[str], Register]
    ) -> Callable[[str], RegisterBackend]:
        return lambda run_id: RegisterBackend(register_factory(run_id))

    @pytest.fixture
    def corrupt(self, register_factory: Callable[[str], Register]) -> Callable[[str], object]:
        def corrupt(run_id: str) -> None:
            register = register_factory(run_id)
            found = register.get_state()
            register.set_state(b"\0garbage", found and found[1])

        return corrupt


class TestStore(StoreSuite):
    lacks: ClassVar = LACKS

    @pytest.fixture
    def store_factory(self, register_factory: Callable[[str], Register]) -> Callable[[str], RegisterStore]:
        return lambda run_id: RegisterStore(RegisterBackend(register_factory(run_id)))


class TestHandler(HandlerSuite):
    lacks: ClassVar = {
        "server": LACKS["server"],
        "large_groups": "all nodes compete for one register, which serves small groups",
    }

    @pytest.fixture
    def handler_factory(
        self, register_factory: Callable[[str], Register]
    ) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            params = RendezvousParameters("register", "", run_id, min_nodes, max_nodes, **options)
            backend = RegisterBackend(register_factory(run_id))
            return create_handler(RegisterStore(backend), backend, params)

        return create
