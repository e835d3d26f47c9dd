"""What an intruder does to a file of sqlite is what docs/security.md says."""

import os
import sqlite3
from pathlib import Path

import pytest

from tests.support.intruder import RUN, WORLDS, Raw, documented, intrude


class RawSqlite(Raw):
    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._tables = {"runs": ("name", "state"), "members": ("node", "record"), "entries": ("key", "value")}

    def read(self) -> dict[str, bytes]:
        kept: dict[str, bytes] = {}
        for table, (name, value) in self._tables.items():
            for found in self._connection.execute(f"SELECT {name}, {value} FROM {table}"):
                kept[f"{table}\0{found[0]}"] = found[1] or b""
        return kept

    def write(self, name: str, value: bytes) -> None:
        table, _, key = name.partition("\0")
        column, data = self._tables[table]
        self._connection.execute(f"UPDATE {table} SET {data} = ? WHERE {column} = ?", (value, key))

    def state(self) -> bytes:
        found = self._connection.execute("SELECT state FROM runs WHERE name = ?", (RUN,)).fetchone()
        return bytes(found[0])

    def put_state(self, state: bytes) -> None:
        self._connection.execute("UPDATE runs SET state = ?, token = ?", (state, os.urandom(8)))

    def put_member(self, node: str, record: bytes) -> None:
        self._connection.execute("REPLACE INTO members VALUES (?, ?, ?)", (RUN, node, record))
        self._connection.execute("UPDATE runs SET bell = ?", (os.urandom(8),))


@pytest.mark.parametrize("world", WORLDS)
def test_sqlite(tmp_path: Path, world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENDEZVOUS_SECRET", raising=False)
    path = tmp_path / "run.db"
    assert intrude(lambda: RawSqlite(path), "sqlite", str(path), **WORLDS[world]) == documented()[world]
