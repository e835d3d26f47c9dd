"""The embedded default passes the kit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.sqlite import SqliteBackend, SqliteStore
from rendezvous_core.testing import HandlerSuite, MembershipSuite, PluginSuite, StoreSuite

NO_SERVER = {
    "server": "there is no server: it is a file",
    "link": "there is no connection that could break",
}


class TestBackend(MembershipSuite):
    lacks: ClassVar = {**NO_SERVER, "corrupt": "any bytes are a state"}

    @pytest.fixture
    def backend_factory(self, tmp_path: Path) -> Callable[[str], SqliteBackend]:
        return partial(SqliteBackend, str(tmp_path / "kit.db"))


class TestStore(StoreSuite):
    lacks: ClassVar = NO_SERVER

    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> Callable[[str], SqliteStore]:
        return partial(SqliteStore, str(tmp_path / "kit.db"))


class TestHandler(HandlerSuite):
    lacks: ClassVar = {"server": NO_SERVER["server"]}

    @pytest.fixture
    def handler_factory(self, tmp_path: Path) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            path = str(tmp_path / "kit.db")
            params = RendezvousParameters("sqlite", path, run_id, min_nodes, max_nodes, **options)
            return get_rendezvous_handler(params)

        return create


class TestPlugin(PluginSuite):
    backend = "sqlite"
    distribution = "rendezvous-core"
    bad_endpoints = ("localhost:29400", ":29400")
    lacks: ClassVar = {"secret_parameters": "a file needs no password"}

    @pytest.fixture
    def endpoint(self, tmp_path: Path) -> str:
        return str(tmp_path / "kit.db")

    @pytest.fixture
    def unreachable_endpoint(self) -> str:
        return "/proc/no/such/kit.db"
