"""Calls over SQLite, interrupted at every line."""

import pytest

from tests.interruption.suite import HAPPENS, CreateHandler, Interruptions, creator


class TestSqlite(Interruptions):
    always = frozenset(HAPPENS)
    at_each = frozenset({"KeyboardInterrupt", "leave", "shutdown"})

    @pytest.fixture(scope="class")
    @classmethod
    def create(cls, tmp_path_factory: pytest.TempPathFactory) -> CreateHandler:
        path = tmp_path_factory.mktemp("interruption") / "rendezvous.db"
        return creator("sqlite", str(path))
