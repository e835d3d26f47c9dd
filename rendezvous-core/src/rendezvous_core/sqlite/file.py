"""The file of a database: made, opened, and recognised again."""

import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from rendezvous_core.ports.errors import RendezvousConnectionError
from rendezvous_core.sqlite.path import prepare_directory
from rendezvous_core.sqlite.schema import prepare


class File:
    """The file at ``path``, opened when it is first used, and again when another has taken its place.

    Not made for several threads at once.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._identity: _Identity | None = None
        self._openings = 0

    def connection(self) -> sqlite3.Connection:
        """The connection to what lies at the path now; made where nothing does.

        Raises:
            BlockingIOError, sqlite3.OperationalError: busy; try again.
            OSError, sqlite3.Error, RendezvousError: it cannot be opened, or is not ours.
        """
        if self._connection and self._identity and self._identity == _identify(self.path):
            return self._connection
        directory = os.path.dirname(self.path)
        prepare_directory(directory)
        with _alone_in(directory):
            # Inodes tell files apart only while both exist: what was open stays so until they are compared.
            _ensure_file(self.path, self._identity if self._connection else None)
            self.close()
            connection = _connect(self.path)
            self._connection, self._identity = connection, _identify(self.path)
        self._openings += 1
        return connection

    def version(self) -> tuple[int, int, int]:
        """A value that differs after every commit of anybody, and whenever the file is another."""
        connection = self.connection()
        # data_version counts the commits of all others, total_changes one's own.
        (others,) = connection.execute("PRAGMA data_version").fetchone()
        return self._openings, others, connection.total_changes

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


class _Identity(NamedTuple):
    """Device and inode of a database and of the shared memory beside it.

    The second tells when the files of a database are removed one after another, and somebody made
    it anew in between.
    """

    database: tuple[int, int]
    memory: tuple[int, int]


def _identify(path: str) -> _Identity | None:
    try:
        return _Identity(_inode(path), _inode(path + "-shm"))
    except OSError:
        return None


def _inode(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


@contextmanager
def _alone_in(directory: str) -> Iterator[None]:
    # All who open a database here pass one by one, so that none opens what another is about to make.
    # The database itself must not be locked so: closing the descriptor would drop SQLite's own locks.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child forked meanwhile has the descriptor too
    finally:
        os.close(descriptor)


def _ensure_file(path: str, known: _Identity | None) -> None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        _remove_sidecars(path)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return
    if not stat.S_ISREG(found.st_mode):
        raise RendezvousConnectionError(
            f"{path} is a directory or device: name a file for the rendezvous database."
        )
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "It is read-only", path)
    replaced = known is not None and known.database != (found.st_dev, found.st_ino)
    with suppress(FileNotFoundError):
        if known is not None and replaced and known.memory == _inode(path + "-shm"):
            _remove_sidecars(path)


def _remove_sidecars(path: str) -> None:
    # They belong to a database that is gone; SQLite would replay them into the new one.
    for suffix in ("-wal", "-shm"):
        Path(path + suffix).unlink(missing_ok=True)


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        Path(path).as_uri() + "?mode=rw",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection
