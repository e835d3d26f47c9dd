"""A store of torch as one of ours."""

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch.distributed as dist

from rendezvous_c10d._connections import Connections
from rendezvous_c10d._errors import known_to_torch
from rendezvous_c10d._facade import StoreFacade
from rendezvous_c10d._waiter import ProtocolError
from rendezvous_core import (
    PrefixStore,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousTimeoutError,
    Store,
)
from rendezvous_core.store import Timeout, Value, check_pairs, encode, integer, keys_timeout, peek

_logger = logging.getLogger("rendezvous_c10d")

_PAUSE = 0.01

_BOOKKEEPING = frozenset({"efcount/", "leanup/"})
"""What a FileStore keeps of its own, as its list of keys shows it."""


class C10dStore(Store):
    """One of our stores on top of ``torch.distributed.Store``: any that has ``compare_set``.

    A lost connection is opened anew with the next call; nothing is repeated unasked. Calls that
    block have connections of their own to a TCPStore. To any other store, and to a ``PrefixStore``
    over a TCPStore, they come back again and again, each hundredth of a second.

    Args:
        store: torch's store. If it hosts a server, it does so as long as this object lives.
        timeout: as in `Store`; that of ``store`` by default.
    """

    def __init__(self, store: dist.Store, timeout: Timeout | None = None) -> None:
        super().__init__(store.timeout if timeout is None else timeout)
        self._connections = Connections(store)
        self._is_file = isinstance(store, dist.FileStore)

    def connect(self) -> None:
        """Open now the connections that would be opened when they are needed."""
        self._connections.connect()

    def close(self) -> None:
        """Close all connections, and the server if it is hosted here."""
        self._connections.close()

    def view(self, prefix: str) -> Store:
        """Return a view that is a ``torch.distributed.Store`` as well, ready for ``init_process_group``."""
        return RoundStore(prefix, self)

    def set(self, key: str, value: Value) -> None:
        """See base class."""
        self._write([key], lambda store: store.set(key, encode(value)))

    def get(self, key: str) -> bytes:
        """See base class."""
        deadline = time.monotonic() + self._limit(None)
        while (value := peek(self, key)) is None:
            self.wait([key], deadline - time.monotonic())
        return value

    def add(self, key: str, amount: int) -> int:
        """See base class."""
        # torch's stores take "1.5" for 1, and drop the connection over other text.
        integer(key, peek(self, key))
        return int(self._call("add", key, amount))

    def append(self, key: str, value: Value) -> None:
        """See base class."""
        self._write([key], lambda store: store.append(key, encode(value)))

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """See base class."""
        return bytes(self._call("compare_set", key, encode(expected_value), encode(desired_value)))

    def check(self, keys: Sequence[str]) -> bool:
        """See base class."""
        return not keys or bool(self._call("check", list(keys)))

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class."""
        limit = self._limit(timeout)
        found = not keys or (self._wait(keys, limit) if limit > 0 else self.check(keys))
        if not found:
            raise self._timed_out(keys, limit)

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """See base class."""
        self.wait(keys)
        return list(self._call("multi_get", list(keys))) if keys else []

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """See base class."""
        check_pairs(keys, values)
        encoded = [encode(value) for value in values]
        if keys:
            self._write(keys, lambda store: store.multi_set(list(keys), encoded))

    def delete_key(self, key: str) -> bool:
        """See base class."""
        # A FileStore says of any key that it was there.
        existed = not self._is_file or self.check([key])
        return bool(self._call("delete_key", key)) and existed

    def num_keys(self) -> int:
        """See base class."""
        return len(self.list_keys()) if self._is_file else int(self._call("num_keys"))

    def list_keys(self) -> list[str]:
        """See base class.

        Raises:
            RendezvousError: this version of torch has no such method.
        """
        # torch's method keeps all of Python from running: better that the server answers.
        self.check(["any"])
        try:
            keys: list[str] = self._call("list_keys")
        except AttributeError as error:
            raise RendezvousError("Stores of this version of torch cannot list their keys.") from error
        return [key for key in keys if key not in _BOOKKEEPING] if self._is_file else keys

    def _call(self, method: str, *arguments: Any) -> Any:
        return self._connections.call(lambda store: getattr(store, method)(*arguments))

    def _write(self, keys: Sequence[str], write: Callable[[Any], None]) -> None:
        """Make a call of torch that returns before the server has what it writes; await that it has."""

        def written(store: Any) -> None:
            write(store)
            store.check(list(keys))

        self._connections.call(written)

    def _wait(self, keys: Sequence[str], limit: float) -> bool:
        if self._connections.can_wait:
            try:
                return self._connections.wait(keys, limit)
            except ProtocolError as error:
                _logger.warning(
                    "Looking for keys each %g s instead of waiting: the TCPStore %s.", _PAUSE, error
                )
        deadline = time.monotonic() + limit
        while not self.check(keys):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def _timed_out(self, keys: Sequence[str], limit: float) -> RendezvousTimeoutError:
        missing = keys
        if len(keys) > 1:
            with contextlib.suppress(RendezvousConnectionError):
                missing = [key for key in keys if not self.check([key])]
        return keys_timeout(limit, missing or keys, [key for key in keys if key not in missing])


class RoundStore(StoreFacade, dist.PrefixStore):
    """A view of a `C10dStore` that is one of our stores in Python, and torch's own to C++ code."""

    def __init__(self, prefix: str, store: C10dStore) -> None:
        with known_to_torch():
            dist.PrefixStore.__init__(self, prefix, store._connections.native())
        self._prefix = prefix
        self._base = store
        self._port = PrefixStore(prefix, store)

    def set_timeout(self, timeout: Timeout) -> None:
        """See base class. In C++ code all views of a store have the timeout that was set last."""
        super().set_timeout(timeout)
        dist.PrefixStore.set_timeout(self, self._port.timeout)

    def view(self, prefix: str) -> "RoundStore":
        """See base class."""
        return RoundStore(f"{self._prefix}/{prefix}", self._base)

    def clone(self) -> "RoundStore":
        """See base class."""
        return RoundStore(self._prefix, self._base)


Store.register(RoundStore)
