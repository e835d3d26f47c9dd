"""What SQLite and the operating system say, told as rendezvous errors that name the file and the fix."""

import errno
import os
import sqlite3

from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousError, RendezvousStateError

_WAL_WRITE_LOCK = 120  # the byte of the -shm file that a writer locks, by SQLite's published format
_UNSUPPORTED = (
    "lies on a file system whose locks or shared memory fail, as those of network file systems do: "
    "choose a path on a local one"
)
_NO_SPACE = "found no space left on its file system, quota or size limit: free some, or choose another path"
_UNWRITABLE = (
    "cannot be opened for writing: make the file and its directory writable for this user, or choose "
    "another path"
)
_DAMAGED = "is damaged: end the processes that use it and delete it, or choose another path"

_BY_CODE: dict[int, tuple[type[RendezvousError], str]] = {
    sqlite3.SQLITE_CORRUPT: (RendezvousStateError, _DAMAGED),
    sqlite3.SQLITE_ERROR: (RendezvousStateError, _DAMAGED),  # a table is not there, or not as we made it
    sqlite3.SQLITE_NOTADB: (
        RendezvousStateError,
        "is no SQLite database: choose another path, or delete the file if nobody needs it",
    ),
    sqlite3.SQLITE_READONLY: (RendezvousConnectionError, _UNWRITABLE),
    sqlite3.SQLITE_PERM: (RendezvousConnectionError, _UNWRITABLE),
    sqlite3.SQLITE_CANTOPEN: (RendezvousConnectionError, _UNWRITABLE),
    sqlite3.SQLITE_FULL: (RendezvousConnectionError, _NO_SPACE),
    sqlite3.SQLITE_PROTOCOL: (RendezvousConnectionError, _UNSUPPORTED),
}
_BY_ERRNO = {
    errno.EACCES: _UNWRITABLE,
    errno.EPERM: _UNWRITABLE,
    errno.EROFS: _UNWRITABLE,
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: _NO_SPACE,
    errno.EBADF: _UNSUPPORTED,  # what NFS answers to the lock of a directory
    errno.ENOLCK: _UNSUPPORTED,
    errno.EOPNOTSUPP: _UNSUPPORTED,
}


def is_busy(error: sqlite3.Error | OSError) -> bool:
    """Whether somebody else holds a lock that will be free again."""
    return isinstance(error, BlockingIOError) or _primary(error) == sqlite3.SQLITE_BUSY


def explain(error: sqlite3.Error | OSError, path: str) -> RendezvousError:
    """Turn ``error`` into the rendezvous error to raise from it."""
    if is_busy(error):
        return locked(path)
    kind: type[RendezvousError] = RendezvousConnectionError
    if isinstance(error, OSError):
        text = _BY_ERRNO.get(error.errno or 0, "cannot be opened: choose another path")
    elif _primary(error) == sqlite3.SQLITE_IOERR:
        name = error.sqlite_errorname
        shared = name != "SQLITE_IOERR_SHMSIZE" and ("LOCK" in name or "SHM" in name)
        text = _UNSUPPORTED if shared else f"failed to read or write, or {_NO_SPACE}"
    else:
        kind, text = _BY_CODE.get(_primary(error), (RendezvousStateError, "refuses what it was asked"))
    return kind(f"The rendezvous database {path} {text} ({error}).")


def locked(path: str) -> RendezvousConnectionError:
    """The error for a lock that was not released in time; names the process that holds it if known."""
    pid = _writer(path)
    return RendezvousConnectionError(
        f"The rendezvous database {path} stays locked by {f'process {pid}' if pid else 'another process'}, "
        "which was stopped in the middle of a write or holds a transaction open: continue it or end it."
    )


def _primary(error: sqlite3.Error | OSError) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _writer(path: str) -> int | None:
    # Asking by fcntl would need a descriptor of the file, and closing it would drop SQLite's locks.
    try:
        found = os.stat(path + "-shm")
        with open("/proc/locks", encoding="ascii") as locks:
            lines = [line.split() for line in locks]
    except OSError:
        return None
    name = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in lines:
        if len(line) == 8 and line[3] == "WRITE" and line[5] == name and line[6] == str(_WAL_WRITE_LOCK):
            return int(line[4])
    return None
