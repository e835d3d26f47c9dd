"""The connections to a store of torch."""

import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from math import ceil
from typing import Any, TypeVar

from torch.distributed import DistNetworkError, DistStoreError, PrefixStore, Store, TCPStore

from rendezvous_c10d._errors import StoreConnectionError, StoreLostError
from rendezvous_c10d._threads import within
from rendezvous_core._endpoint import Endpoint

T = TypeVar("T")

_PROBE = 5.0
"""Seconds within which a server must accept a connection."""

_HANDSHAKE = 30.0
"""Seconds within which it must answer there; name servers may delay it."""

_RETRY = timedelta(seconds=1)
"""For so long torch repeats an attempt to connect that has failed."""

_SLICE = 1.0
"""Seconds for which one call blocks at most, and with it the end of the process."""


class Connections:
    """One connection for quick calls, one for C++ code that calls by itself, others for what blocks.

    A TCPStore serves one call per connection at a time, and a broken connection stays broken: it is
    replaced with the next call. Other stores have no connections; all calls share one handle.

    Args:
        store: the first connection, for quick calls: it may be in use elsewhere. If it hosts a
            server, it does until `close`. Its timeout is how long answers are waited for.
    """

    def __init__(self, store: Store) -> None:
        base = store
        while isinstance(base, PrefixStore):
            base = base.underlying_store
        is_tcp = isinstance(base, TCPStore)
        self._origin: Store | None = store
        self._timeout: timedelta = store.timeout
        self._address = Endpoint(base.host, base.port) if is_tcp else None
        self._place = f"the TCPStore at {self._address}" if is_tcp else f"the {type(base).__name__}"
        # A view can be opened once more since torch 2.8.
        self.can_block = is_tcp and (store is base or hasattr(store, "clone"))
        self._opening = threading.Lock()
        self._quick: Store | None = store
        self._native: Store | None = None
        self._idle: list[Store] = []
        self._was_lost = False

    def connect(self) -> None:
        """Open now what would be opened with the first call that blocks, and for `native`."""
        self.native()
        if self.can_block and not self._idle:
            self._idle.append(self._open())

    def native(self) -> Store:
        """Return the handle for code that calls torch's store without us."""
        with self._opening:
            self._native = self._native or self._open()
            return self._native

    def call(self, call: Callable[[Any], T]) -> T:
        """Make a call that does not block.

        Raises:
            StoreConnectionError: the server is lost, or does not answer.
        """
        with self._opening:
            handle = self._quick = self._quick or self._open()
        return self._made(handle, call)

    def block(self, seconds: float, call: Callable[[Any, timedelta], T]) -> T:
        """Make a call that blocks at most as long as it is told, again and again for ``seconds``.

        Raises:
            DistStoreError: it took longer.
            StoreConnectionError: as `call`.
        """
        deadline = time.monotonic() + seconds
        try:
            handle = self._idle.pop()
        except IndexError:
            handle = self._open()
        while self._origin is not None:
            left = deadline - time.monotonic()
            moment = timedelta(milliseconds=max(1, ceil(1000 * min(left, _SLICE))))
            try:
                result = self._made(handle, lambda store: call(store, moment))  # noqa: B023
            except DistStoreError:
                if left <= _SLICE:
                    self._idle.append(handle)
                    raise
            else:
                self._idle.append(handle)
                return result
        raise self._closed()

    def close(self) -> None:
        """Let go of all connections, and of the server if it is hosted here."""
        self._origin = self._quick = self._native = None
        self._idle.clear()

    def _made(self, handle: Store, call: Callable[[Any], T]) -> T:
        patience = self._timeout.total_seconds()
        try:
            return within(_SLICE + patience, lambda: call(handle))
        except DistStoreError:
            raise
        except RuntimeError as error:
            self._forget(handle)
            if isinstance(error, DistNetworkError):
                self._probe(error)
            raise StoreConnectionError(f"The connection to {self._place} was lost: {head(error)}") from error
        except TimeoutError as error:
            self._forget(handle)
            raise StoreConnectionError(
                f"There was no answer for {patience:g} s from {self._place}: is its host suspended, or "
                "cut off?"
            ) from error

    def _forget(self, handle: Store) -> None:
        if self._quick is handle:
            self._quick = None
        # They all lead to the server that was lost.
        self._native = None
        self._idle.clear()
        self._was_lost = True

    def _open(self) -> Store:
        origin = self._origin
        if origin is None:
            raise self._closed()
        if not self.can_block:
            return origin
        if self._was_lost:
            self._probe(None)  # torch would not say why, and only after a while
        try:
            opened = within(_HANDSHAKE, lambda: self._clone(origin))
        except (DistNetworkError, TimeoutError) as error:
            raise StoreConnectionError(f"Connecting to {self._place} has failed: {head(error)}") from error
        self._was_lost = False
        return opened

    def _clone(self, origin: Any) -> Store:
        if not isinstance(origin, TCPStore):
            return origin.clone()
        # Its own clone method would retry for as long as its timeout.
        return connect(Endpoint(origin.host, origin.port), self._timeout)

    def _probe(self, cause: BaseException | None) -> None:
        """Raise what is wrong, unless the server accepts connections."""
        try:
            assert self._address is not None
            socket.create_connection(self._address, _PROBE).close()
        except ConnectionRefusedError as error:
            raise StoreLostError(
                f"Nobody listens any more for {self._place}: the process that hosted it has ended, and what "
                "it held is lost. Runs that must survive their hosts need the backend redis or etcd-v3."
            ) from (cause or error)
        except OSError as error:
            raise StoreConnectionError(f"Connecting to {self._place} has failed: {error}") from (
                cause or error
            )

    def _closed(self) -> StoreConnectionError:
        return StoreConnectionError(f"This store, {self._place}, was closed.")


def connect(endpoint: Endpoint, timeout: timedelta) -> TCPStore:
    """Connect to a TCPStore. Blocks for ever where something listens that does not answer."""
    store = TCPStore(*endpoint, is_master=False, wait_for_workers=False, timeout=_RETRY)
    store.set_timeout(timeout)
    return store


def head(error: BaseException) -> str:
    """Return the first line of torch's message; the others show frames."""
    return str(error).partition("\n")[0]
