"""Where a database lies, and who may touch it."""

import os
import stat
import tempfile

from rendezvous_core.ports.errors import RendezvousConnectionError
from rendezvous_core.ports.redaction import redact

_REMEDY = "or name another file as endpoint or in RDZV_SQLITE_PATH"
_private: set[str] = set()


def default_path() -> str:
    """The database of this user: where nodes meet that were given no endpoint.

    ``RDZV_SQLITE_PATH`` where it is set; else ``rendezvous/rendezvous.db`` in ``XDG_RUNTIME_DIR``
    where that is a directory of this user; else ``rendezvous-<uid>/rendezvous.db`` in the directory
    for temporary files. Processes whose environments differ in this do not meet. Creates the
    directory, mode 0700.

    Raises:
        RendezvousConnectionError: the directory cannot be made, is a link, belongs to somebody else,
            or is open to others.
    """
    path = os.environ.get("RDZV_SQLITE_PATH")
    if path:
        return path
    try:
        directory = _default_directory()
        _private.add(directory)
        prepare_directory(directory)
    except OSError as error:
        raise RendezvousConnectionError(
            f"The default directory of the rendezvous database cannot be made ({error}): "
            f"free its place, {_REMEDY}."
        ) from error
    return os.path.join(directory, "rendezvous.db")


def full_path(path: str) -> str:
    """Return where the database at ``path`` lies (`default_path` where it is empty).

    Raises:
        ValueError: it is the URL of something else.
    """
    if "://" in path:  # which the file system would take for folders
        raise ValueError(
            f"The endpoint of the sqlite backend is the path of a file, not {redact(path)!r}: name the "
            "backend that this is for, or write the path alone."
        )
    return os.path.realpath(os.path.expanduser(path or default_path()))


def is_there(path: str) -> bool:
    """Return whether there is a database at ``path``, as `full_path` returns it.

    Raises:
        RendezvousConnectionError: not even its folder is there.
    """
    if not os.path.isdir(directory := os.path.dirname(path)):
        raise RendezvousConnectionError(f"There is no directory {directory}: is the path right?")
    return os.path.lexists(path)


def described_default() -> str:
    """The path of `default_path` for people, with what of the environment leads there."""
    path = default_path()
    if os.environ.get("RDZV_SQLITE_PATH"):
        return f"{path} (by RDZV_SQLITE_PATH)"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and path.startswith(os.path.realpath(runtime)):
        return f"{path} (by XDG_RUNTIME_DIR)"
    return f"{path} (as XDG_RUNTIME_DIR names no directory of this user)"


def prepare_directory(directory: str) -> None:
    """Create ``directory``, mode 0700, where it is missing; that of `default_path` must be private.

    Raises:
        OSError: it cannot be created.
        RendezvousConnectionError: it is the default one, and others can reach it.
    """
    if not os.path.lexists(directory):
        os.makedirs(directory, mode=0o700, exist_ok=True)
    if directory in _private:
        _check_private(directory)


def _default_directory() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.path.isdir(runtime) and os.stat(runtime).st_uid == os.getuid():
        return os.path.join(os.path.realpath(runtime), "rendezvous")
    return os.path.join(os.path.realpath(tempfile.gettempdir()), f"rendezvous-{os.getuid()}")


def _check_private(directory: str) -> None:
    # Only lstat tells a directory that somebody planted as a link, and only a sticky parent keeps
    # others from renaming ours away between this check and the opening of the file.
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise RendezvousConnectionError(
            f"The default directory {directory} of the rendezvous database is a link, a file, or belongs "
            f"to another user: remove it, {_REMEDY}."
        )
    if found.st_mode & 0o077:
        raise RendezvousConnectionError(
            f"The default directory {directory} of the rendezvous database is open to other users "
            f"(mode {stat.S_IMODE(found.st_mode):04o}): make it 0700, {_REMEDY}."
        )
    parent = os.path.dirname(directory)
    mode = os.stat(parent).st_mode
    if mode & 0o022 and not mode & stat.S_ISVTX:
        raise RendezvousConnectionError(
            f"Other users can replace the default directory {directory} of the rendezvous database, as "
            f"{parent} is writable for them without being sticky: make it sticky, {_REMEDY}."
        )
