"""A store of torch as one of ours."""

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from typing import Any

import torch.distributed as dist

from rendezvous_c10d._client import Client, ProtocolError
from rendezvous_c10d._connections import Connections
from rendezvous_c10d._errors import known_to_torch
from rendezvous_c10d._facade import StoreFacade
from rendezvous_core import (
    PrefixStore,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousTimeoutError,
    Store,
)
from rendezvous_core.ports.calls import shielded
from rendezvous_core.ports.store import (
    ABSENT,
    Timeout,
    Value,
    Write,
    check_pairs,
    encode,
    integer,
    keys_timeout,
    peek,
)

_PAUSE = 0.01

_BOOKKEEPING = frozenset({"efcount/", "leanup/"})
"""What a FileStore keeps of its own, as its list of keys shows it."""

_deleting = threading.Lock()
"""Only one thread of this process finds a key in a file, and deletes it."""


def _forget_other_threads() -> None:
    global _deleting
    _deleting = threading.Lock()


os.register_at_fork(after_in_child=_forget_other_threads)


class C10dStore(Store):
    """One of our stores on top of ``torch.distributed.Store``: any that has ``compare_set``.

    A lost connection is opened anew with the next call; nothing is repeated unasked. Calls that
    block have connections of their own to a TCPStore. To any other store, and to a ``PrefixStore``
    over a TCPStore, they come back again and again, each hundredth of a second.

    Args:
        store: torch's store. If it hosts a server, it does so as long as this object lives.
        timeout: as in `Store`; that of ``store`` by default.
        is_shared: somebody else may use ``store`` too, and block it.
    """

    def __init__(self, store: dist.Store, timeout: Timeout | None = None, *, is_shared: bool = True) -> None:
        super().__init__(store.timeout if timeout is None else timeout)
        self._connections = Connections(store, is_shared=is_shared)
        self._is_file = isinstance(store, dist.FileStore)

    @property
    def hosts(self) -> Sequence[str] | None:
        """Where the server is; ``None`` if that is not known."""
        return self._connections.hosts

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
        self.write_all([("set", key, value)])

    def get(self, key: str) -> bytes:
        """See base class."""
        return self.multi_get([key])[0]

    def add(self, key: str, amount: int) -> int:
        """See base class."""
        # torch's stores take "1.5" for 1, and drop the connection over other text.
        integer(key, peek(self, key))
        return int(self._call("add", key, amount))

    def append(self, key: str, value: Value) -> None:
        """See base class."""
        self.write_all([("append", key, value)])

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """See base class."""
        return bytes(self._call("compare_set", key, encode(expected_value), encode(desired_value)))

    def check(self, keys: Sequence[str]) -> bool:
        """See base class."""
        return not keys or bool(self._call("check", list(keys)))

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class."""
        limit = self._limit(timeout)
        if not self._appear(keys, time.monotonic() + limit):
            raise self._timed_out(keys, limit)

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """See base class."""
        limit = self._limit(None)
        deadline = time.monotonic() + limit
        # A mere look at a missing key would wake all others who wait for it.
        while self.check(keys) or self._appear(keys, deadline):
            values = [value for value in self.peek_all(keys) if value is not None]
            if len(values) == len(keys):
                return values
            if time.monotonic() >= deadline:
                break  # what was deleted meanwhile, or is a queue of torch's, has no value
        raise self._timed_out(keys, limit)

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """See base class."""
        check_pairs(keys, values)
        self.write_all([("set", key, value) for key, value in zip(keys, values, strict=True)])

    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """See base class."""

        def look(store: Any) -> list[bytes]:
            if isinstance(store, Client):
                return store.look(keys, ABSENT)
            # torch's way to read several keys waits for what is deleted meanwhile, or makes it up.
            return [bytes(store.compare_set(key, ABSENT, ABSENT)) for key in keys]

        values = self._connections.call(look) if keys else []
        return [None if value == ABSENT else value for value in values]

    def write_all(self, writes: Sequence[Write]) -> None:
        """See base class."""
        encoded = [(method, key, encode(value)) for method, key, value in writes]

        def write(store: Any) -> None:
            for method, key, value in encoded:
                getattr(store, method)(key, value)
            # torch returns before the server has what is written: an answer to anything later says it has.
            store.check(["any"])

        if encoded:
            self._connections.call(write)

    def delete_key(self, key: str) -> bool:
        """See base class."""
        if not self._is_file:
            return bool(self._call("delete_key", key))
        # A FileStore says of any key that it was there.
        with _deleting:
            return self.check([key]) and bool(self._call("delete_key", key))

    def num_keys(self) -> int:
        """See base class."""
        return len(self.list_keys()) if self._is_file else int(self._call("num_keys"))

    def list_keys(self) -> list[str]:
        """See base class.

        Raises:
            RendezvousError: torch has no such method; it came with 2.10.
        """
        if not hasattr(dist.Store, "list_keys"):
            raise RendezvousError("Stores of torch cannot list their keys before torch 2.10.")
        if not self._connections.speaks:
            # torch's method keeps all of Python from running: better that the server answers.
            self.check(["any"])
        keys: list[str] = self._call("list_keys")
        return [key for key in keys if key not in _BOOKKEEPING] if self._is_file else keys

    def forget(self, prefix: str) -> None:
        """See base class; raises as `list_keys` does."""
        doomed = [key for key in self.list_keys() if key.startswith(f"{prefix}/")]

        def delete(store: Any) -> None:
            if isinstance(store, Client):
                store.delete_keys(doomed)
                return
            for key in doomed:
                store.delete_key(key)

        if doomed:
            self._connections.call(delete)

    def watch(self, keys: Sequence[str], seconds: float) -> bool:
        """Block until all keys exist, at most ``seconds``; ``False`` when the time runs out.

        Ends too early where somebody compares the value of a key that is missing: that is how torch's
        server does it.
        """
        if not keys:
            return True
        if self._connections.speaks:
            with contextlib.suppress(ProtocolError):
                return self._connections.wait(keys, seconds)
        deadline = time.monotonic() + seconds
        while not self.check(keys):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def _call(self, method: str, *arguments: Any) -> Any:
        return self._connections.call(lambda store: getattr(store, method)(*arguments))

    def _appear(self, keys: Sequence[str], deadline: float) -> bool:
        """Block until all keys exist; ``False`` if they do not before ``deadline``."""
        while True:
            left = deadline - time.monotonic()
            ended = left > 0 and self.watch(keys, left)
            if self.check(keys):
                return True
            if not ended:
                return False

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
            dist.PrefixStore.__init__(self, prefix, shielded(store._connections.native))
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
