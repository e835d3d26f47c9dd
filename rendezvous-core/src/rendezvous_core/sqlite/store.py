"""The shared store: entries and queues in the tables of one file."""

import sqlite3
import time
from collections.abc import Sequence

from rendezvous_core.ports.errors import RendezvousTimeoutError
from rendezvous_core.ports.store import (
    DEFAULT_TIMEOUT,
    QueueEmptyError,
    Store,
    Timeout,
    Value,
    check_pairs,
    encode,
    integer,
    keys_timeout,
)
from rendezvous_core.sqlite.database import open_database
from rendezvous_core.sqlite.watch import Row, Topic


class SqliteStore(Store):
    """Keeps the keys of one ``namespace`` in the database at ``path``.

    Every method, `multi_set` and `multi_get` and the queues included, is one transaction: nobody
    sees half of it. Queues lie beside the keys, so that `num_keys` and `list_keys` leave them out.

    Args:
        path: the file, made where it is missing; `default_path` where it is empty.
        namespace: whose keys these are. Where it is the run id of a `SqliteBackend` on the same
            file, state and keys of the run are retained together.
        timeout: as in `Store`.

    Raises:
        ValueError: an empty namespace, or a timeout that is not positive.
        RendezvousConnectionError: the file cannot be reached or written.
        RendezvousStateError: it is no database of this kind and version.
    """

    def __init__(self, path: str, namespace: str, timeout: Timeout = DEFAULT_TIMEOUT) -> None:
        super().__init__(timeout)
        if not namespace:
            raise ValueError("The namespace of a store must be a non-empty string.")
        self._namespace = namespace
        self._database = open_database(path)

    def set(self, key: str, value: Value) -> None:
        self.multi_set([key], [value])

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        check_pairs(keys, values)
        encoded = [encode(value) for value in values]

        def put(connection: sqlite3.Connection) -> None:
            for key, value in zip(keys, encoded, strict=True):
                self._put(connection, key, value)

        self._database.write(self._namespace, put, *(self._entry(key) for key in keys))

    def get(self, key: str) -> bytes:
        return self.multi_get([key])[0]

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        deadline = time.monotonic() + self._limit(None)
        while True:
            found = self._database.read(lambda connection: [self._find(connection, key) for key in keys])
            values = [value for value in found if value is not None]
            if len(values) == len(keys):
                return values
            absent = [key for key, value in zip(keys, found, strict=True) if value is None]
            self._await_first(absent, keys, deadline, self.timeout)

    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        return self._database.read(lambda connection: [self._find(connection, key) for key in keys])

    def add(self, key: str, amount: int) -> int:
        def add(connection: sqlite3.Connection) -> int:
            total = amount + integer(key, self._find(connection, key))
            self._put(connection, key, b"%d" % total)
            return total

        return self._database.write(self._namespace, add, self._entry(key))

    def append(self, key: str, value: Value) -> None:
        encoded = encode(value)

        def append(connection: sqlite3.Connection) -> None:
            self._put(connection, key, (self._find(connection, key) or b"") + encoded)

        self._database.write(self._namespace, append, self._entry(key))

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        expected, desired = encode(expected_value), encode(desired_value)

        def compare_set(connection: sqlite3.Connection) -> bytes:
            current = self._find(connection, key)
            if (b"" if current is None else current) != expected:
                return expected if current is None else current
            self._put(connection, key, desired)
            return desired

        return self._database.write(self._namespace, compare_set, self._entry(key))

    def check(self, keys: Sequence[str]) -> bool:
        return not self._missing(keys)

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        limit = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + self._limit(limit)
        while missing := self._missing(keys):
            self._await_first(missing, keys, deadline, limit)

    def delete_key(self, key: str) -> bool:
        def delete(connection: sqlite3.Connection) -> bool:
            where = (self._namespace, key)
            return connection.execute("DELETE FROM entries WHERE run = ? AND key = ?", where).rowcount > 0

        return self._database.write(self._namespace, delete)

    def forget(self, prefix: str) -> None:
        where = (self._namespace, f"{prefix}/", f"{prefix}0")  # the character that follows a slash

        def forget(connection: sqlite3.Connection) -> None:
            for table in ("entries", "queues"):
                connection.execute(f"DELETE FROM {table} WHERE run = ? AND key >= ? AND key < ?", where)

        self._database.write(self._namespace, forget)

    def __repr__(self) -> str:
        return f"<SqliteStore of {self._namespace!r} in {self._database.path}>"

    def num_keys(self) -> int:
        return len(self.list_keys())

    def list_keys(self) -> list[str]:
        def collect(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute("SELECT key FROM entries WHERE run = ?", (self._namespace,))
            return [key for (key,) in rows]

        return self._database.read(collect)

    def queue_push(self, key: str, value: Value) -> None:
        row = (self._namespace, key, encode(value))

        def push(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO queues (run, key, value) VALUES (?, ?, ?)", row)

        self._database.write(self._namespace, push, self._queue(key))

    def queue_pop(self, key: str, block: bool = True, timeout: Timeout | None = None) -> bytes:
        limit = self._limit(timeout)
        deadline = time.monotonic() + limit
        while True:
            item = self._database.write(self._namespace, lambda connection: self._pop(connection, key))
            if item is not None:
                return item
            if not block:
                raise QueueEmptyError(f"The queue {key!r} is empty.")
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise RendezvousTimeoutError(
                    f"Timed out after {limit:g} s waiting for an item in the queue {key!r}."
                )
            self._database.wait(self._queue(key), _exists, remaining)

    def queue_len(self, key: str) -> int:
        def count(connection: sqlite3.Connection) -> int:
            where = (self._namespace, key)
            found = connection.execute("SELECT count(*) FROM queues WHERE run = ? AND key = ?", where)
            return int(found.fetchone()[0])

        return self._database.read(count)

    def _entry(self, key: str) -> Topic:
        return Topic("SELECT 1 FROM entries WHERE run = ? AND key = ?", (self._namespace, key))

    def _queue(self, key: str) -> Topic:
        return Topic("SELECT 1 FROM queues WHERE run = ? AND key = ? LIMIT 1", (self._namespace, key))

    def _missing(self, keys: Sequence[str]) -> list[str]:
        def collect(connection: sqlite3.Connection) -> list[str]:
            return [key for key in keys if connection.execute(*self._entry(key)).fetchone() is None]

        return self._database.read(collect)

    def _await_first(self, missing: list[str], keys: Sequence[str], deadline: float, limit: Timeout) -> None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise keys_timeout(limit, missing, set(keys).difference(missing))
        self._database.wait(self._entry(missing[0]), _exists, remaining)

    def _find(self, connection: sqlite3.Connection, key: str) -> bytes | None:
        where = (self._namespace, key)
        found = connection.execute("SELECT value FROM entries WHERE run = ? AND key = ?", where).fetchone()
        return None if found is None else bytes(found[0])

    def _put(self, connection: sqlite3.Connection, key: str, value: bytes) -> None:
        connection.execute(
            "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (self._namespace, key, value),
        )

    def _pop(self, connection: sqlite3.Connection, key: str) -> bytes | None:
        where = (self._namespace, key)
        head = connection.execute(
            "SELECT position, value FROM queues WHERE run = ? AND key = ? ORDER BY position LIMIT 1", where
        ).fetchone()
        if head is None:
            return None
        connection.execute("DELETE FROM queues WHERE position = ?", head[:1])
        return bytes(head[1])


def _exists(row: Row) -> bool:
    return row is not None
