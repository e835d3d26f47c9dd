"""The tables, and how a connection to them is made ready."""

import sqlite3
import time
from collections.abc import Iterable

from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousStateError

APPLICATION_ID = 0x52445A56  # "RDZV" in the header of the file
VERSION = 1
RETENTION = 7 * 24 * 3600.0
"""Seconds after which a run that nobody wrote to is removed when its database is opened."""

_TOUCH_INTERVAL = 3600  # so that heartbeats need not write the time each time

_TABLES = (
    """
    CREATE TABLE runs (
        name TEXT PRIMARY KEY, state BLOB, token BLOB, bell BLOB NOT NULL DEFAULT x'',
        touched INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE TABLE members (run TEXT, node TEXT, record BLOB NOT NULL, PRIMARY KEY (run, node)) WITHOUT ROWID",
    "CREATE TABLE entries (run TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (run, key))",
    "CREATE TABLE queues (position INTEGER PRIMARY KEY, run TEXT, key TEXT, value BLOB NOT NULL)",
    "CREATE INDEX queue_order ON queues (run, key, position)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """Check that the file is ours, create what is missing, remove runs of long ago.

    Raises:
        RendezvousStateError: the file belongs to another application or another version.
        RendezvousConnectionError: its file system cannot share memory between processes.
    """
    connection.execute("BEGIN")
    application = _pragma(connection, "application_id")
    version = _pragma(connection, "user_version")
    fresh = application == version == 0 and _pragma(connection, "schema_version") == 0
    connection.execute("COMMIT")
    if not fresh and application != APPLICATION_ID:
        raise RendezvousStateError(f"{path} is the database of another application: choose another path.")
    if not fresh and version != VERSION:
        raise RendezvousStateError(
            f"The rendezvous database {path} has version {version}, this installation reads version "
            f"{VERSION}: use the same rendezvous-core everywhere, or choose another path."
        )
    if _pragma(connection, "journal_mode = WAL") != "wal":
        raise RendezvousConnectionError(
            f"The file system of {path} cannot share memory between processes, as network file systems "
            "cannot: choose a path on a local one."
        )
    # A commit survives the death of any process; only a power failure may undo the last ones.
    connection.execute("PRAGMA synchronous = NORMAL")
    if fresh:
        _transact(connection, _TABLES)
    outdated = f"abs(touched - {time.time()}) > {RETENTION}"
    if connection.execute(f"SELECT 1 FROM runs WHERE {outdated}").fetchone():
        condition = f"run IN (SELECT name FROM runs WHERE {outdated})"
        removals = [f"DELETE FROM {table} WHERE {condition}" for table in ("members", "entries", "queues")]
        _transact(connection, [*removals, f"DELETE FROM runs WHERE {outdated}"])


def retain(connection: sqlite3.Connection, run: str) -> None:
    """Note that ``run`` is in use, in the transaction that writes to it; its row exists afterwards."""
    connection.execute(
        "INSERT INTO runs (name, touched) VALUES (?, ?) ON CONFLICT DO UPDATE SET touched = excluded.touched "
        f"WHERE abs(touched - excluded.touched) > {_TOUCH_INTERVAL}",
        (run, int(time.time())),
    )


def _pragma(connection: sqlite3.Connection, pragma: str) -> object:
    return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


def _transact(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in statements:
        connection.execute(statement)
    connection.execute("COMMIT")
