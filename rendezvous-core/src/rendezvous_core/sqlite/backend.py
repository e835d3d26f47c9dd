"""The backend: the state, the members and their bell in the tables of one file."""

import os
import platform
import sqlite3
from collections.abc import Sequence

from rendezvous_core.ports.backend import Members, MembershipBackend, ServerFacts, Token
from rendezvous_core.ports.errors import RendezvousConnectionError
from rendezvous_core.ports.redaction import redact
from rendezvous_core.sqlite.database import Database, open_database
from rendezvous_core.sqlite.path import described_default
from rendezvous_core.sqlite.watch import Row, Topic

_NO_BELL = b""
_MEMBERS = """
SELECT node, record FROM members WHERE run = ? AND typeof(node) = 'text' AND typeof(record) = 'blob'
"""  # what is of other types is nobody's


class SqliteBackend(MembershipBackend):
    """Keeps one run in the database at ``path``, for any number of processes of this machine.

    Tokens are nonces: no token is current again, even after the file was deleted, or replaced by an
    older copy of itself. All backends and stores of a process that name the same file share one
    connection.

    Args:
        path: the file, made where it is missing; `default_path` where it is empty.
        run_id: the run; runs in one file know nothing of each other.

    Raises:
        ValueError: an empty run id.
        RendezvousConnectionError: the file cannot be reached or written.
        RendezvousStateError: it is no database of this kind and version.
    """

    def __init__(self, path: str, run_id: str) -> None:
        if not run_id:
            raise ValueError("The run id must be a non-empty string.")
        self._run = run_id
        self._topic = topic_of(run_id)
        self._opened: Database | None = open_database(path)
        self._path = self._opened.path
        self._place = redact(self._path) if path else described_default()

    @property
    def name(self) -> str:
        return "sqlite"

    @property
    def hosts(self) -> Sequence[str]:
        return ("localhost",)

    @property
    def place(self) -> str:
        return self._place

    def server_facts(self) -> ServerFacts:
        return ServerFacts(
            f"SQLite {sqlite3.sqlite_version}", f"sqlite3 of Python {platform.python_version()}"
        )

    @property
    def path(self) -> str:
        """The file, as an absolute path."""
        return self._path

    def get_state(self) -> tuple[bytes, Token] | None:
        return self._database.read(self._state)

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        fresh = _nonce()

        def replace(connection: sqlite3.Connection) -> tuple[bytes, Token, bool] | None:
            current = self._state(connection)
            if (current[1] if current else None) != token:
                return (*current, False) if current else None
            row = (state, fresh, self._run)
            connection.execute("UPDATE runs SET state = ?, token = ? WHERE name = ?", row)
            return state, fresh, True

        return self._database.write(self._run, replace, self._topic)

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        def put(connection: sqlite3.Connection) -> None:
            connection.execute("REPLACE INTO members VALUES (?, ?, ?)", (self._run, node, record))
            if announce:
                connection.execute("UPDATE runs SET bell = ? WHERE name = ?", (_nonce(), self._run))

        self._database.write(self._run, put, *([self._topic] if announce else []))

    def remove_member(self, node: str) -> None:
        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM members WHERE run = ? AND node = ?", (self._run, node))

        self._database.write(self._run, remove)

    def members(self) -> Members:
        def collect(connection: sqlite3.Connection) -> Members:
            records = connection.execute(_MEMBERS, (self._run,))
            bell = connection.execute("SELECT bell FROM runs WHERE name = ?", (self._run,)).fetchone()
            return Members(dict(records.fetchall()), bell[0] if bell else _NO_BELL)

        return self._database.read(collect)

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        def changed(row: Row) -> bool:
            current, bell = row or (None, _NO_BELL)
            closed = self._opened is None
            return bool(closed or current != token or (members is not None and bell != members))

        return self._database.wait(self._topic, changed, timeout)

    def close(self) -> None:
        database, self._opened = self._opened, None
        if database is not None:
            database.wake_all()

    @property
    def _database(self) -> Database:
        if self._opened is None:
            raise RendezvousConnectionError(f"This backend of {self._path} was closed.")
        return self._opened

    def _state(self, connection: sqlite3.Connection) -> tuple[bytes, Token] | None:
        found: tuple[bytes, Token] | None = connection.execute(
            "SELECT state, token FROM runs WHERE name = ? AND token IS NOT NULL", (self._run,)
        ).fetchone()
        return found


def topic_of(run_id: str) -> Topic:
    """What those wait for who wait for a change of the run."""
    return Topic("SELECT token, bell FROM runs WHERE name = ?", (run_id,))


def _nonce() -> bytes:
    return os.urandom(16)
