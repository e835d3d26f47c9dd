"""Runs of long ago go, so that the file does not grow for ever."""

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing

from rendezvous_core.sqlite import SqliteBackend, SqliteStore
from rendezvous_core.sqlite.schema import RETENTION


def fill(path: str, runs: Iterable[str]) -> None:
    for run in runs:
        backend, store = SqliteBackend(path, run), SqliteStore(path, run)
        backend.set_state(b"state")
        backend.put_member("node", b"record", announce=True)
        store.set("key", "value")
        store.queue_push("queue", "item")


def age(path: str, run: str, seconds: float) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        touched = int(time.time() - seconds)
        connection.execute("UPDATE runs SET touched = ? WHERE name = ?", (touched, run))


def kept(path: str) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        columns = ["runs.name", "members.run", "entries.run", "queues.run"]
        found = [
            {run for (run,) in connection.execute(f"SELECT {column} FROM {column.split('.')[0]}")}
            for column in columns
        ]
    assert all(runs == found[0] for runs in found)
    return found[0]


def test_opening_removes_the_runs_that_nobody_wrote_to(path: str) -> None:
    fill(path, ["old", "future", "recent", "new"])
    age(path, "old", RETENTION + 60)
    age(path, "future", -RETENTION - 60)
    age(path, "recent", RETENTION - 60)
    SqliteStore(path, "another")
    assert kept(path) == {"recent", "new"}


def test_every_write_keeps_the_whole_run(path: str) -> None:
    fill(path, ["beating", "storing"])
    backend, store = SqliteBackend(path, "beating"), SqliteStore(path, "storing")
    for run in ("beating", "storing"):
        age(path, run, RETENTION - 60)
    backend.put_member("node", b"record", announce=False)
    store.delete_key("other")
    del backend, store
    with closing(sqlite3.connect(path)) as connection:
        ages = [time.time() - touched for (touched,) in connection.execute("SELECT touched FROM runs")]
    assert max(ages) < 60
    SqliteStore(path, "another")
    assert kept(path) == {"beating", "storing"}
