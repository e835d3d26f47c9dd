"""From parameters to a backend and its store."""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch.distributed import FileStore

from rendezvous_c10d._backend import C10dRendezvousBackend
from rendezvous_c10d._c10d_store import C10dStore
from rendezvous_c10d._options import IS_HOST, READ_TIMEOUT, STORE_TYPE, connect_timeout
from rendezvous_c10d._tcp import Found, find_store
from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousParameters,
    RendezvousStateError,
    RendezvousTimeoutError,
    StoreRuns,
)
from rendezvous_core.ports.endpoint import Endpoint, parse_endpoint
from rendezvous_core.ports.store import peek

DEFAULT_PORT = 29400

_OWNER = "rendezvous-c10d/run"
_USERS = "rendezvous-c10d/users"
_UNUSED = "rendezvous-c10d/unused"
_LINGER = 3.0


def create_backend(params: RendezvousParameters) -> tuple[C10dRendezvousBackend, C10dStore]:
    """Open the backend of a run, and the store that its handler hands out.

    Options, as torch has them:

    - ``store_type``: ``tcp`` (default) or ``file``. The endpoint is ``host[:port]``, port 29400 by
      default, or the path of a file that all nodes see, a fresh one by default.
    - ``is_host``: whether this node hosts the TCPStore. By default it does if the endpoint's host is
      this machine, by any name of any of its addresses.
    - ``read_timeout`` (60): seconds that a node waits for any answer of the store.

    And one that all backends have:

    - ``connect_timeout`` (60, or ``read_timeout`` where only that is given): seconds that a node waits
      for a host, or a name, that is not there yet; at most ``join_timeout``.

    Raises:
        ValueError: an option, the endpoint or the run id is wrong.
        RendezvousConnectionError: no TCPStore answers at the endpoint, or the file cannot be used.
        RendezvousStateError: the TCPStore there belongs to another run.
    """
    if not params.run_id:
        raise ValueError("The run id must be a non-empty string.")
    if STORE_TYPE.read(params) == "file":
        store = C10dStore(_open_file(params.endpoint))
        return C10dRendezvousBackend(store, params.run_id), store
    endpoint = parse_endpoint(params.endpoint, DEFAULT_PORT)
    is_host = IS_HOST.read(params)
    found = find_store(endpoint, is_host, connect_timeout(params), READ_TIMEOUT.read(params))
    store = C10dStore(found.store, is_shared=False)
    try:
        _check_owner(store, params.run_id, endpoint, claims=is_host is not False)
        store.connect()
        return _TcpBackend(store, params.run_id, found), store
    except BaseException:
        store.close()
        raise


def open_runs(params: RendezvousParameters) -> StoreRuns:
    """Open the runs in the file at ``params.endpoint``, or the one run that a TCPStore there serves.

    Hosts no store. Needs torch 2.10, whose stores list their keys. Raises as `create_backend` does.
    """
    if STORE_TYPE.read(params) == "file":
        if not params.endpoint:
            raise ValueError(
                "The endpoint of a FileStore must name its file: without one each is a fresh one."
            )
        return StoreRuns(C10dStore(_open_file(params.endpoint)))
    endpoint = parse_endpoint(params.endpoint, DEFAULT_PORT)
    found = find_store(endpoint, False, connect_timeout(params), READ_TIMEOUT.read(params))
    return _TcpRuns(C10dStore(found.store, is_shared=False))


def _check_owner(store: C10dStore, run_id: str, endpoint: Endpoint, *, claims: bool) -> None:
    """Refuse the store of another run: it would end with that run."""
    mine = run_id.encode()
    owner = store.compare_set(_OWNER, b"" if claims else mine, mine)
    if owner != mine:
        raise RendezvousStateError(
            f"The TCPStore at {endpoint} belongs to the run '{owner.decode(errors='replace')}', not to "
            f"'{run_id}': give each run a port of its own."
        )


class _TcpBackend(C10dRendezvousBackend):
    """A backend that opened its TCPStore itself, and closes it.

    Whoever hosts the store stays for a moment until the others are done with it as well.
    """

    def __init__(self, store: C10dStore, run_id: str, found: Found) -> None:
        super().__init__(store, run_id)
        self._is_host, self._everywhere = found.hosted, found.everywhere
        self._open = True
        store.add(_USERS, 1)

    @property
    def hosts(self) -> Sequence[str] | None:
        """See base class. Unknown to the host of a store that listens on all interfaces."""
        return None if self._everywhere else super().hosts

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        super().close()
        with contextlib.suppress(RendezvousConnectionError, RendezvousTimeoutError):
            if self._store.add(_USERS, -1) == 0:
                self._store.set(_UNUSED, b"1")
            elif self._is_host:
                self._store.wait([_UNUSED], _LINGER)
        self._store.close()


class _TcpRuns(StoreRuns):
    """The run that a TCPStore serves, or several where nobody has claimed it for one."""

    _store: C10dStore

    def delete(self, run_id: str) -> None:
        super().delete(run_id)
        if peek(self._store, _OWNER) == run_id.encode():
            self._store.delete_key(_OWNER)

    def close(self) -> None:
        self._store.close()


def _open_file(path: str) -> FileStore:
    if not path:
        with tempfile.NamedTemporaryFile(prefix="rendezvous-", delete=False) as file:
            path = file.name
    try:
        # torch tries again and again for five minutes to open what cannot be opened.
        Path(path).open("ab").close()
        return FileStore(path)
    except (OSError, RuntimeError) as error:
        raise RendezvousConnectionError(f"The file '{path}' cannot be used as a store: {error}") from error
