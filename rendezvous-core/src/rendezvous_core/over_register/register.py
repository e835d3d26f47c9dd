"""One bare register that holds everything: its contents, and how they change by transactions."""

import random
import threading
import time
from collections.abc import Callable
from secrets import token_hex
from typing import Any, TypeVar

import msgspec

from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousStateError
from rendezvous_core.ports.runs import StoredRun

T = TypeVar("T")

_VERSION = 1
_PATIENCE = 30.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
_REMEMBERED_WRITERS = 64


class Contents(msgspec.Struct):
    """What the register holds, as MessagePack."""

    version: int
    state: bytes | None = None
    state_id: str | None = None
    members: dict[str, bytes] = {}
    news: str = ""
    values: dict[str, bytes] = {}
    applied: dict[str, int] = {}
    """The last write of each client, the latest writers last: how a client knows its own write."""


def unpacked(run: StoredRun) -> StoredRun | None:
    """Return what a register holds of ``run``; ``run`` itself where it was no register."""
    try:
        contents = msgspec.msgpack.decode(run.state, type=Contents)
    except (msgspec.DecodeError, ValueError):
        return run
    return None if contents.state is None else StoredRun(contents.state, contents.members)


class _Version(msgspec.Struct):
    version: int


class Register:
    """The register of a bare backend. Used from several threads, and by any number of clients."""

    def __init__(self, backend: RendezvousBackend) -> None:
        self._backend = backend
        self._client = token_hex(8)
        self._writes = 0
        self._updating = threading.Lock()
        self._closed = threading.Event()

    @property
    def backend(self) -> RendezvousBackend:
        """The backend that was given."""
        return self._backend

    def read(self) -> Contents:
        """Return the present contents; they may be changed freely.

        Raises:
            RendezvousStateError: the register holds something else.
            RendezvousConnectionError: the backend cannot be reached, or was closed.
        """
        return self._decode(self._read())

    def update(self, change: Callable[[Contents], T]) -> T:
        """Apply ``change`` atomically and return its result; nothing is written if nothing changes.

        ``change`` is called again for each attempt. Others who change the register at the same
        time make an attempt fail, and so may a reply that is lost: both are tried again for half a
        minute. A write that was done though its reply was lost is not done again.

        Raises:
            RendezvousConnectionError: it could not be written in that time, or not be read.
        """
        with self._updating:
            deadline = time.monotonic() + _PATIENCE
            pause = _SHORTEST_PAUSE
            results: dict[int, T] = {}
            failure: RendezvousConnectionError | None = None
            while True:
                found = self._read()
                contents = self._decode(found)
                applied = contents.applied.get(self._client)
                if applied in results:
                    return results[applied]
                former = msgspec.msgpack.encode(contents)
                result = change(contents)
                if msgspec.msgpack.encode(contents) == former:
                    return result
                self._sign(contents)
                results[self._writes] = result
                try:
                    data = msgspec.msgpack.encode(contents)
                    standing = self._backend.set_state(data, found[1] if found else None)
                except RendezvousConnectionError as error:
                    failure = error
                else:
                    if standing is not None and standing[2]:
                        return result
                if time.monotonic() + pause > deadline:
                    raise RendezvousConnectionError(
                        f"The register of the backend '{self._backend.name}' could not be written for "
                        f"{_PATIENCE:g} s: " + (str(failure) if failure else "others wrote it every time.")
                    ) from failure
                self._closed.wait(random.uniform(0, pause))
                pause = min(2 * pause, _LONGEST_PAUSE)

    def poll(self, look: Callable[[Contents], T | None], timeout: float) -> T | None:
        """Look until there is a result, ``timeout`` seconds have passed or the register is closed."""
        deadline = time.monotonic() + timeout
        pause = _SHORTEST_PAUSE
        while True:
            result = look(self.read())
            left = deadline - time.monotonic()
            if result is not None or left <= 0:
                return result
            if self._closed.wait(min(left, random.uniform(0.5, 1) * pause)):
                return None
            pause = min(1.5 * pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """End all waiting, and close the backend."""
        self._closed.set()
        self._backend.close()

    def check_open(self) -> None:
        """Raise `RendezvousConnectionError` after `close`."""
        if self._closed.is_set():
            raise RendezvousConnectionError(f"This backend '{self._backend.name}' was closed.")

    def _read(self) -> tuple[bytes, Any] | None:
        self.check_open()
        return self._backend.get_state()

    def _decode(self, found: tuple[bytes, Any] | None) -> Contents:
        if found is None:
            return Contents(_VERSION)
        where = f"The register of the backend '{self._backend.name}'"
        try:
            version = msgspec.msgpack.decode(found[0], type=_Version).version
            if version == _VERSION:
                return msgspec.msgpack.decode(found[0], type=Contents)
        except (msgspec.DecodeError, ValueError) as error:
            raise RendezvousStateError(
                f"{where} is corrupt, or something else wrote it ({error}): {found[0]!r:.80}. "
                "Delete it, or choose another run id."
            ) from error
        raise RendezvousStateError(
            f"{where} has version {version}, and this library reads version {_VERSION}: "
            "use the same version of rendezvous-core on all nodes."
        )

    def _sign(self, contents: Contents) -> None:
        self._writes += 1
        contents.applied.pop(self._client, None)
        contents.applied[self._client] = self._writes
        while len(contents.applied) > _REMEMBERED_WRITERS:
            del contents.applied[next(iter(contents.applied))]
