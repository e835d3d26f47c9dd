"""The connections to a store of torch: one for quick calls, others for those that block."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from math import ceil
from typing import Any, TypeVar

from torch.distributed import (
    DistNetworkError,
    DistStoreError,
    FileStore,
    HashStore,
    PrefixStore,
    Store,
    TCPStore,
)

from rendezvous_c10d._errors import StoreConnectionError, StoreLostError
from rendezvous_c10d._exit import make
from rendezvous_c10d._threads import start, within
from rendezvous_core._endpoint import Endpoint

T = TypeVar("T")

_PROBE = 5.0
"""Seconds within which a server must accept a connection."""

_MOMENT = 0.05

_SLICE = 1.0

_HANDSHAKE = 30.0
"""Seconds within which it must answer there; name servers may delay it."""


class Handles:
    """Handles of one store. A TCPStore serves one call per handle at a time; a broken one stays so.

    Args:
        store: the first handle, used for quick calls. If it hosts a server, it does until `close`.
    """

    def __init__(self, store: Store) -> None:
        self._origin: Store | None = store
        base = store
        while isinstance(base, PrefixStore):
            base = base.underlying_store
        is_server = isinstance(base, TCPStore)
        self._address = Endpoint(base.host, base.port) if is_server else None
        # Stores have a clone method since torch 2.8.
        self._can_clone = isinstance(store, TCPStore) or (
            isinstance(base, (TCPStore, FileStore, HashStore)) and hasattr(store, "clone")
        )
        # Others poll, or as HashStore, miss that a key came to be by an add.
        self.can_block = is_server and self._can_clone
        self.place = f"the TCPStore at {self._address}" if is_server else f"the {type(base).__name__}"
        self._lock = threading.Lock()
        self._quick: Store | None = store
        self._native: Store | None = None
        self._idle: list[Store] = []

    def connect(self) -> None:
        """Open now what would be opened with the first call that blocks, and for `native`."""
        with self._lock:
            if self.can_block and not self._idle:
                self._idle.append(self._open())
            if self._native is None:
                self._native = self._open()

    def native(self) -> Store:
        """Return the handle for code that calls torch's store without us."""
        with self._lock:
            if self._native is None:
                self._native = self._open()
            return self._native

    def call(self, seconds: float, call: Callable[[Any], T]) -> T:
        """Make a call that does not block.

        Raises:
            StoreConnectionError: the server is lost, or has not answered within ``seconds``.
        """
        with self._lock:
            if self._quick is None:
                self._quick = self._reopen()
            handle = self._quick
        with self._watched(handle, seconds):
            return self._made(seconds, call, handle)

    def block(self, seconds: float, patience: float, call: Callable[[Any, timedelta], T]) -> T:
        """Make a call that blocks at most as long as it is told; answers take another ``patience``.

        It is told a second again and again, so that no thread is caught in C++ code for longer.

        Raises:
            DistStoreError: it took more than ``seconds``.
            StoreConnectionError: as `call`.
        """
        deadline = time.monotonic() + seconds
        with self._lock:
            handle = self._idle.pop() if self._idle else self._reopen()
        with self._watched(handle, patience):
            while True:
                left = deadline - time.monotonic()
                duration = timedelta(milliseconds=ceil(1000 * min(max(left, 0), _SLICE)) or 1)
                try:
                    result = self._made(_SLICE + patience, lambda store: call(store, duration), handle)  # noqa: B023
                except DistStoreError:
                    if left > _SLICE:
                        continue
                    self._idle.append(handle)
                    raise
                self._idle.append(handle)
                return result

    def close(self) -> None:
        """Let go of all handles, and of the server if it is hosted here."""
        with self._lock:
            self._origin = self._quick = self._native = None
            self._idle.clear()

    def _made(self, seconds: float, call: Callable[[Any], T], handle: Store) -> T:
        if self._address is None:
            return call(handle)
        return within(seconds, lambda: make(lambda: call(handle)))

    @contextlib.contextmanager
    def _watched(self, handle: Store, seconds: float) -> Iterator[None]:
        try:
            yield
        except DistStoreError:
            raise
        except RuntimeError as error:
            self._forget(handle)
            if isinstance(error, DistNetworkError):
                self._probe(error)
            raise StoreConnectionError(f"The connection to {self.place} was lost: {head(error)}") from error
        except TimeoutError as error:
            self._forget(handle)
            raise StoreConnectionError(
                f"There was no answer for {seconds:g} s from {self.place}: is its host suspended, or cut off?"
            ) from error

    def _forget(self, handle: Store) -> None:
        with self._lock:
            if self._quick is handle:
                self._quick = None
            # They all lead to the server that was lost.
            self._idle.clear()
            self._native = None

    def _reopen(self) -> Store:
        if self._origin is not None:
            self._probe(None)
        return self._open()

    def _open(self) -> Store:
        if self._origin is None:
            raise StoreConnectionError("This store was closed.")
        try:
            # What accepts a connection and then says nothing keeps torch waiting for ever.
            return start(self._clone).result(_HANDSHAKE)
        except (DistNetworkError, TimeoutError) as error:
            raise StoreConnectionError(f"Connecting to {self.place} has failed: {head(error)}") from error

    def _clone(self) -> Store:
        origin: Any = self._origin
        if isinstance(origin, TCPStore):
            # Its own clone method would retry for as long as its timeout.
            brief = timedelta(seconds=_HANDSHAKE)
            opened = TCPStore(
                origin.host, origin.port, is_master=False, wait_for_workers=False, timeout=brief
            )
            opened.set_timeout(origin.timeout)
            return opened
        return origin.clone() if self._can_clone else origin

    def _probe(self, cause: BaseException | None) -> None:
        """Look whether somebody listens, since torch's own attempt would retry for its whole timeout."""
        if self._address is None:
            return
        try:
            with socket.create_connection(self._address, _PROBE) as connection:
                # A TCPStore listens to what its client wants; what lies in front of a dead one hangs up.
                connection.settimeout(_MOMENT)
                with contextlib.suppress(TimeoutError):
                    connection.recv(1)
                    raise ConnectionResetError("the connection is closed as soon as it is opened")
        except ConnectionRefusedError as error:
            raise StoreLostError(
                f"Nobody listens any more for {self.place}: the process that hosted it has ended, and what "
                "it held is lost. Runs that must survive their hosts need the backend redis or etcd-v3."
            ) from (cause or error)
        except OSError as error:
            raise StoreConnectionError(f"Connecting to {self.place} has failed: {error}") from (
                cause or error
            )


def head(error: BaseException) -> str:
    """Return the first line of torch's message; the others show frames."""
    return str(error).partition("\n")[0]
