"""The embedded default passes the kit."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from rendezvous_core.sqlite import SqliteBackend, SqliteStore
from rendezvous_core.testing import MembershipSuite, StoreSuite

NO_SERVER = {
    "server": "there is no server: it is a file",
    "link": "there is no connection that could break",
}


class TestBackend(MembershipSuite):
    lacks: ClassVar = {**NO_SERVER, "corrupt": "any bytes are a state"}

    @pytest.fixture
    def backend_factory(self, tmp_path: Path) -> Callable[[str], SqliteBackend]:
        path = str(tmp_path / "kit.db")
        return lambda run_id: SqliteBackend(path, run_id)


class TestStore(StoreSuite):
    lacks: ClassVar = NO_SERVER

    @pytest.fixture
    def store_factory(self, tmp_path: Path) -> Callable[[str], SqliteStore]:
        path = str(tmp_path / "kit.db")
        return lambda run_id: SqliteStore(path, run_id)
