"""The connections to a store of torch."""

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from torch.distributed import DistStoreError, PrefixStore, Store, TCPStore

from rendezvous_c10d._client import Client, ProtocolError
from rendezvous_c10d._errors import StoreConnectionError, StoreLostError
from rendezvous_c10d._threads import within
from rendezvous_core.ports.endpoint import Endpoint

T = TypeVar("T")

_logger = logging.getLogger("rendezvous_c10d")

_GREETING = 5.0
"""Seconds within which a server must answer a greeting."""

_GREETINGS = 5
"""How many have to fail, one after the other, where torch's client is answered."""

_AGE = 30.0
"""For how many seconds an idle connection is kept. Those in between may forget it, without a word."""

_RETRY = timedelta(seconds=1)
"""For so long torch repeats an attempt to connect that has failed."""

_of_parents: list[object] = []
"""Kept for ever, in forked children."""


class Connections:
    """Clients of our own to a TCPStore, as many as make calls at a time, and a handle for C++ code.

    A connection serves one call at a time, and a broken one stays broken: it is replaced with the
    next call, as are all that are idle, since what became of it may have become of them. One that was
    idle for long is not used again: an idle node keeps two, one of them for C++ code. To other stores,
    and to a TCPStore that speaks another protocol, calls are made in torch's C++ code, through a handle
    that is not used for anything else.

    Args:
        store: where calls lead. If it hosts a server, it does until `close`. Its timeout is how long
            answers are waited for.
        is_shared: somebody else may use ``store`` too, and block it.
    """

    def __init__(self, store: Store, *, is_shared: bool = True) -> None:
        base = store
        while isinstance(base, PrefixStore):
            base = base.underlying_store
        is_tcp = isinstance(base, TCPStore)
        self._origin: Store | None = store
        self._timeout: timedelta = store.timeout
        self._address = Endpoint(base.host, base.port) if is_tcp else None
        self._place = f"the TCPStore at {self._address}" if is_tcp else f"the {type(base).__name__}"
        self.speaks = store is base and is_tcp
        """Whether calls go through clients of our own, which can wait."""
        # A view can be opened once more since torch 2.8.
        self._can_open = self.speaks or (is_tcp and hasattr(store, "clone"))
        self._opening = threading.Lock()
        self._quick: Store | None = store
        self._native: Store | None = None if is_shared else store
        self._idle: list[Client] = []
        self._busy: set[Client] = set()
        self._was_lost = False
        self._pid = os.getpid()

    @property
    def hosts(self) -> Sequence[str] | None:
        """Where the server is; ``None`` if that is not known."""
        return (self._address.host,) if self._address else None

    def connect(self) -> None:
        """Open now what the first call and `native` would open."""
        self.native()
        if self.speaks:
            with contextlib.suppress(ProtocolError), self._client():
                pass

    def native(self) -> Store:
        """Return the handle for code that calls torch's store without us."""
        self._leave_to_parent()
        with self._opening:
            self._native = self._native or self._open()
            return self._native

    def call(self, call: Callable[[Any], T]) -> T:
        """Make a call that does not block, of a `Client` or of torch's store.

        Raises:
            StoreConnectionError: the server is lost, or does not answer.
        """
        if not self.speaks:
            return self.call_torch(call)
        try:
            with self._client() as client:
                return call(client)
        except ProtocolError as error:
            result = self.call_torch(call)  # which fails too where the server was about to die
            if self._is_foreign():
                self.speaks = False
                _logger.warning("Looking for keys instead of waiting for them: %s %s.", self._place, error)
            return result

    def call_torch(self, call: Callable[[Any], T]) -> T:
        """Make a call of torch's store; raises as `call` does."""
        self._leave_to_parent()
        with self._opening:
            handle = self._quick = self._quick or self._open()
        patience = self._timeout.total_seconds()
        try:
            return within(patience, lambda: call(handle))
        except DistStoreError:
            raise
        except (RuntimeError, TimeoutError) as error:
            raise self._lost(error, patience) from error

    def wait(self, keys: Sequence[str], seconds: float) -> bool:
        """Block until all keys exist, at most ``seconds``; ``False`` when the time runs out.

        Raises:
            StoreConnectionError: as `call`.
            ProtocolError: this version of torch speaks in a way that is not known here.
        """
        deadline = time.monotonic() + seconds
        patience = self._timeout.total_seconds()
        with self._client() as client:
            # Between two slices the server shows that it is still there.
            while not client.wait(keys, min(seconds, patience)):
                seconds = deadline - time.monotonic()
                if seconds <= 0:
                    return False
        return True

    def close(self) -> None:
        """Let go of all connections, and of the server if it is hosted here; ends all waits."""
        self._leave_to_parent()
        self._origin = self._quick = self._native = None
        for client in list(self._busy):
            client.close()
        self._drop_idle()

    @contextlib.contextmanager
    def _client(self) -> Iterator[Client]:
        """Lend a client; one whose call failed, or was interrupted, is of no more use."""
        if self._origin is None:
            raise self._closed()
        assert self._address is not None
        self._leave_to_parent()
        client = None
        began = time.monotonic()
        try:
            self._drop_idle(before=began - _AGE)
            with contextlib.suppress(IndexError):
                client = self._idle.pop()
            client = client or Client(self._address, self._timeout.total_seconds())
            self._busy.add(client)
            yield client
        except BaseException as error:
            if client:
                client.close()
            if not isinstance(error, OSError):
                raise
            took = time.monotonic() - began
            raise self._closed() if self._origin is None else self._lost(error, took) from error
        else:
            client.used_at = time.monotonic()
            self._idle.append(client)
            self._drop_idle(before=client.used_at - _AGE if self._origin else float("inf"))
        finally:
            self._busy.discard(client)

    def _leave_to_parent(self) -> None:
        """In a forked child, make new connections: those that are there are the parent's."""
        if self._pid == os.getpid():
            return
        # Where one hosts a server, its destructor would wait for a thread that only the parent has.
        _of_parents.append((self._origin, self._quick, self._native))
        self._pid, self._idle, self._busy, self._opening = os.getpid(), [], set(), threading.Lock()
        self._quick = self._native = None

    def _drop_idle(self, before: float = float("inf")) -> None:
        """Close the idle connections that were last used before then; the longest idle come first."""
        with contextlib.suppress(IndexError):
            while self._idle[0].used_at < before:
                self._idle.pop(0).close()

    def _lost(self, error: Exception, took: float) -> StoreConnectionError:
        """Forget all connections, since they all lead to the server that was lost, and say why it was."""
        self._quick = self._native = None
        self._drop_idle()
        self._was_lost = True
        if isinstance(error, TimeoutError):
            return self._silent(took)
        return self._probe() or StoreConnectionError(f"A call to {self._place} has failed: {head(error)}")

    def _open(self) -> Store:
        origin = self._origin
        if origin is None:
            raise self._closed()
        if not self._can_open:
            return origin
        if self._was_lost and (trouble := self._probe()):
            raise trouble  # torch would not say why, and only after a while
        patience = self._timeout.total_seconds()
        deadline = time.monotonic() + patience
        while True:
            try:
                opened = within(patience, lambda: self._clone(origin))
            except TimeoutError as error:
                raise self._silent(patience) from error
            except RuntimeError as error:
                if time.monotonic() > deadline or not self._answers():
                    text = f"Connecting to {self._place} has failed: {head(error)}"
                    raise self._probe() or StoreConnectionError(text) from error
            else:
                self._was_lost = False
                return opened

    def _clone(self, origin: Any) -> Store:
        if not isinstance(origin, TCPStore):
            return origin.clone()
        # Its own clone method would retry for as long as its timeout.
        return open_client(Endpoint(origin.host, origin.port), self._timeout)

    def _probe(self) -> StoreConnectionError | None:
        """Say what is wrong, unless the server answers."""
        if self._address is None:
            return None
        try:
            self._greet(self._address)
        except OSError as error:
            trouble = self._explain(error)
            trouble.__cause__ = error
            return trouble
        return None

    def _explain(self, error: OSError) -> StoreConnectionError:
        if isinstance(error, ConnectionRefusedError):
            return StoreLostError(
                f"Nobody listens any more for {self._place}: the process that hosted it has ended, and what "
                "it held is lost. Runs that must survive their hosts need the backend redis or etcd-v3."
            )
        if isinstance(error, TimeoutError):
            return self._silent(self._greeting_patience)
        return StoreConnectionError(f"Connecting to {self._place} has failed: {error}")

    def _answers(self) -> bool:
        """Whether the server is there and speaks: then an attempt to connect was only too short."""
        if self._address is None:
            return False
        try:
            Client(self._address, self._greeting_patience).close()
        except (OSError, ProtocolError):
            return False
        return True

    def _is_foreign(self) -> bool:
        """Whether the server understands no greeting of ours; one may have been cut off on its way."""
        assert self._address is not None
        for _ in range(_GREETINGS):
            try:
                Client(self._address, self._greeting_patience).close()
            except ProtocolError:
                continue
            except OSError:
                pass
            return False
        return True

    def _greet(self, address: Endpoint) -> None:
        patience = self._greeting_patience
        try:
            Client(address, patience).close()
        except ProtocolError:
            # Either it speaks another version, or it was about to die: then nobody listens any more.
            socket.create_connection(address, patience).close()

    @property
    def _greeting_patience(self) -> float:
        return min(_GREETING, self._timeout.total_seconds())

    def _silent(self, seconds: float) -> StoreConnectionError:
        return StoreConnectionError(
            f"There was no answer for {round(seconds, 1):g} s from {self._place}: is its host suspended, or "
            "cut off?"
        )

    def _closed(self) -> StoreConnectionError:
        return StoreConnectionError(f"This store, {self._place}, was closed.")


def open_client(endpoint: Endpoint, timeout: timedelta) -> TCPStore:
    """Connect to a TCPStore. Blocks for ever where something listens that does not answer."""
    store = TCPStore(*endpoint, is_master=False, wait_for_workers=False, timeout=_RETRY)
    store.set_timeout(timeout)
    return store


def head(error: BaseException) -> str:
    """Return the first line of torch's message; the others show frames."""
    return str(error).partition("\n")[0]
