"""One SQLite file, as all threads of this process share it."""

import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import TypeVar

from rendezvous_core.ports.calls import shielded
from rendezvous_core.ports.errors import RendezvousError
from rendezvous_core.sqlite import events
from rendezvous_core.sqlite.errors import explain, is_busy, locked
from rendezvous_core.sqlite.file import File
from rendezvous_core.sqlite.path import full_path
from rendezvous_core.sqlite.schema import retain
from rendezvous_core.sqlite.watch import Row, Topic, Waiter, Watch

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]
"""What to do inside a transaction; it is repeated when the transaction has to be."""

BUSY_TIMEOUT = 30.0
"""Seconds for which a call waits for the locks of others before it fails."""

_RETRIES = 10  # after other failures, with a new connection: the file may be in the middle of its removal


class Database:
    """Transactions on the file at ``path``, and waiting for what they change.

    All methods may be called from several threads, and in a child of fork. A file that was deleted
    or replaced is noticed by the next call, which goes on with the new one.

    Raises, in all methods:
        RendezvousConnectionError: the file cannot be reached, written, or locked in `BUSY_TIMEOUT`.
        RendezvousStateError: it is damaged, or belongs to somebody else.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = File(path)
        self._watch = Watch()
        self._lock = threading.Lock()  # of the file, held for one attempt of a transaction
        self._turn = threading.Lock()  # to write: one thread of a process competes with other processes
        self._seen: object = None
        # Unlike __del__, this cannot run while somebody gets the database from the table below.
        weakref.finalize(self, _release, self._file, self._watch).atexit = False

    def read(self, operation: Operation[T]) -> T:
        """Run ``operation`` in one consistent view; it sees all that was committed before."""
        return self._transact("BEGIN", operation, time.monotonic() + BUSY_TIMEOUT)

    def write(self, run: str, operation: Operation[T], *topics: Topic) -> T:
        """Run ``operation`` atomically; nothing is written if it raises.

        ``run`` names whose rows it writes; their retention begins anew. Waiters of this process for
        ``topics`` are woken at once, all others by their next look.
        """

        def retain_and_operate(connection: sqlite3.Connection) -> T:
            retain(connection, run)
            return operation(connection)

        deadline = time.monotonic() + BUSY_TIMEOUT
        if not self._turn.acquire(timeout=BUSY_TIMEOUT):
            raise locked(self.path)
        try:
            result = self._transact("BEGIN IMMEDIATE", retain_and_operate, deadline)
        finally:
            self._turn.release()
        if topics:
            events.touch(self.path)
            self._wake(topic for topic in self._watch.topics() if topic in topics)
        return result

    def wait(self, topic: Topic, ready: Callable[[Row], bool], timeout: float) -> bool:
        """Block until ``ready`` holds for the row of ``topic``, at most ``timeout`` seconds.

        ``False`` when the time ran out; ``True`` may be spurious.
        """
        waiter = Waiter(topic, ready)
        self._watch.enter(waiter)
        try:
            if ready(self._fetch(topic)):
                return True
            database = weakref.ref(self)
            self._watch.run(self.path, lambda: bool((found := database()) and found._look()))
            return waiter.wait(timeout)
        finally:
            self._watch.leave(waiter)

    def wake_all(self) -> None:
        """Let everybody who waits in this process return early."""
        self._watch.wake_all()

    def _fetch(self, topic: Topic) -> Row:
        row: Row = self.read(lambda connection: connection.execute(*topic).fetchone())
        return row

    def _transact(self, begin: str, operation: Operation[T], deadline: float) -> T:
        pause, failures = 0.0005, 0
        while True:
            try:
                with self._lock:
                    return self._attempt(begin, operation)
            except (sqlite3.Error, OSError) as error:
                failures += not is_busy(error)
                if failures > _RETRIES or time.monotonic() > deadline:
                    raise explain(error, self.path) from error
            # Nobody tells when a lock of SQLite is free. Short pauses of random length are fair.
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, 0.005)

    def _attempt(self, begin: str, operation: Operation[T]) -> T:
        connection = self._file.connection()
        try:
            connection.execute(begin)
            result = operation(connection)
            connection.execute("COMMIT")
            return result
        except BaseException as error:
            if isinstance(error, sqlite3.Error) and not is_busy(error):
                self._file.close()
            elif connection.in_transaction:
                connection.rollback()
            raise

    def _look(self) -> bool:
        # The version is read before the rows: a change between the two shows again in the next look.
        try:
            with self._lock:
                version = self._file.version()
        except (sqlite3.Error, OSError, RendezvousError):
            self._seen = None
            self._watch.wake_all()  # their own next call tells them what is wrong
            return False
        if version == self._seen:
            return False
        self._seen = version
        return self._wake(self._watch.topics())

    def _wake(self, topics: Iterable[Topic]) -> bool:
        woke = False
        try:
            for topic in topics:
                woke |= self._watch.wake(topic, self._fetch(topic))
        except RendezvousError:
            self._watch.wake_all()
        return woke

    # SQLite must find nothing of the parent's in a forked child: it would count on locks that only
    # the parent holds. So no connection is open while a process forks.

    def before_fork(self) -> None:
        self._lock.acquire()
        self._file.close()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._watch.forget()


def _release(file: File, watch: Watch) -> None:
    watch.stop()
    file.close()


_databases: weakref.WeakValueDictionary[str, Database] = weakref.WeakValueDictionary()
_opening = threading.RLock()  # a signal handler may come in between
_forking: list[Database] = []


def open_database(path: str) -> Database:
    """The database at ``path`` (`default_path` where it is empty), one for all users in this process.

    Made where it is missing, mode 0600, in a directory of mode 0700 where that is missing too. It is
    closed when the last user is gone.

    Raises:
        ValueError: the path holds a null character, or is the URL of something else.
        RendezvousConnectionError, RendezvousStateError: as `Database`.
    """
    path = full_path(path)
    with _opening:
        database = _databases.get(path)
        if database is None:
            database = _databases[path] = Database(path)
    shielded(lambda: database.read(lambda connection: None))
    return database


def _before_fork() -> None:
    _opening.acquire()
    _forking.extend(_databases.values())
    for database in _forking:
        database.before_fork()


def _after_fork_in_parent() -> None:
    for database in _forking:
        database.after_fork_in_parent()
    _forking.clear()
    _opening.release()


def _after_fork_in_child() -> None:
    for database in _forking:
        database.after_fork_in_child()
    _forking.clear()
    _opening.release()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
