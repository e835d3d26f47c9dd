"""All runs in the tables of one file."""

import sqlite3
from collections.abc import Mapping

from rendezvous_core.ports.runs import Runs, StoredRun
from rendezvous_core.sqlite.backend import topic_of
from rendezvous_core.sqlite.database import Database, open_database
from rendezvous_core.sqlite.path import full_path, is_there


class SqliteRuns(Runs):
    """The runs in the database at ``path``; none where it is missing, and to look does not make it.

    Raises as `SqliteBackend` does.
    """

    def __init__(self, path: str) -> None:
        self._path = full_path(path)
        self._database: Database | None = None
        self._opened()

    def read(self) -> Mapping[str, StoredRun]:
        """See base class; all are seen at one moment."""

        def collect(connection: sqlite3.Connection) -> dict[str, StoredRun]:
            states = connection.execute("SELECT name, state FROM runs WHERE token IS NOT NULL").fetchall()
            members: dict[str, dict[str, bytes]] = {}
            for run, node, record in connection.execute("SELECT run, node, record FROM members"):
                members.setdefault(run, {})[node] = record
            return {run: StoredRun(state, members.get(run, {})) for run, state in states}

        database = self._opened()
        return database.read(collect) if database else {}

    def delete(self, run_id: str) -> None:
        """See base class; atomic here."""

        def delete(connection: sqlite3.Connection) -> None:
            for table in ("members", "entries", "queues"):
                connection.execute(f"DELETE FROM {table} WHERE run = ?", (run_id,))
            connection.execute("DELETE FROM runs WHERE name = ?", (run_id,))

        if database := self._opened():
            database.write(run_id, delete, topic_of(run_id))

    def _opened(self) -> Database | None:
        if self._database is None and is_there(self._path):
            self._database = open_database(self._path)
        return self._database
