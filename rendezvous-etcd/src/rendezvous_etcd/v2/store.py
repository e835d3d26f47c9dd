"""The store: torch's layout of keys, and waits that watch."""

import itertools
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from typing import Any

import etcd

from rendezvous_core import RendezvousStateError, Store
from rendezvous_core.ports.store import DEFAULT_TIMEOUT, Timeout, Value, encode, integer, keys_timeout
from rendezvous_etcd.v2.backend import EtcdRendezvousBackend
from rendezvous_etcd.v2.client import EtcdCalls, index_of
from rendezvous_etcd.v2.swap import back_off, delete, look, swap, unchanged

_SLICE = 5.0
_EMPTY = "="
_MARKS = "!#$%&()*,.:;<>?@"
"""Characters that base64 does not use: its readers, torch among them, pass over them."""


class EtcdStore(Store):
    """Keeps its keys under ``prefix`` as torch's class of that name does, so that both can share them.

    Names and values are base64. A slash in the base64 of a name, with which torch loses the key, is an
    underscore here. Each value ends in marks that tell this write from all others; torch passes over them.

    Every write looks first, and is carried out only if the key is still as it was: so it happens once,
    and one whose reply was lost is recognised as done, also under the writes of others. Where that
    cannot be told, as of a new key that does not appear, it raises `RendezvousConnectionError`, which
    says that it may have been carried out.

    Args:
        etcd_client: a python-etcd client, or `EtcdCalls`; several stores may share it.
        etcd_store_prefix: the directory of the keys.
        timeout: how long reads wait for their keys.
        ttl: seconds after which a key goes that is not written again; by default keys stay.
    """

    def __init__(
        self,
        etcd_client: etcd.Client | EtcdCalls,
        etcd_store_prefix: str,
        timeout: Timeout | None = None,
        ttl: int | None = None,
    ) -> None:
        super().__init__(DEFAULT_TIMEOUT if timeout is None else timeout)
        self._calls = etcd_client if isinstance(etcd_client, EtcdCalls) else EtcdCalls.of(etcd_client)
        self._start = f"/{etcd_store_prefix.strip('/')}/"
        self._ttl = ttl

    @classmethod
    def of_run(cls, backend: EtcdRendezvousBackend) -> "EtcdStore":
        """The store of the run of ``backend``, over its client; the keys live as long as the run."""
        return cls(backend.calls, f"{backend.path}/kv", ttl=backend.ttl)

    def set(self, key: str, value: Value) -> None:
        """See base class."""
        data = encode(value)
        self._update(key, lambda _: data)

    def get(self, key: str) -> bytes:
        """See base class."""
        return self.multi_get([key])[0]

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """See base class."""
        limit = self._limit(None)
        deadline = time.monotonic() + limit
        while True:
            found, index = self._look(keys)
            if missing := set(keys) - found.keys():
                self._await(missing, keys, index, limit, deadline)
            else:
                return [found[key] for key in keys]

    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """See base class."""
        found, _ = self._look(keys)
        return [found.get(key) for key in keys]

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class. Each key has to appear; that it stays until the others come is not asked."""
        limit = self._limit(timeout)
        deadline = time.monotonic() + limit
        found, index = self._look(keys)
        self._await(set(keys) - found.keys(), keys, index, limit, deadline)

    def check(self, keys: Sequence[str]) -> bool:
        """See base class."""
        return self._look(keys)[0].keys() == set(keys)

    def add(self, key: str, amount: int) -> int:
        """See base class."""
        total = 0

        def change(present: bytes | None) -> bytes:
            nonlocal total
            total = integer(key, present) + amount
            return b"%d" % total

        self._update(key, change)
        return total

    def append(self, key: str, value: Value) -> None:
        """See base class."""
        data = encode(value)
        self._update(key, lambda present: (present or b"") + data)

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """See base class."""
        expected, desired = encode(expected_value), encode(desired_value)
        standing = expected

        def change(present: bytes | None) -> bytes | None:
            nonlocal standing
            if (present or b"") == expected:
                standing = desired
                return desired
            standing = expected if present is None else present
            return None

        self._update(key, change)
        return standing

    def delete_key(self, key: str) -> bool:
        """See base class."""
        return delete(self._calls, self._key(key))

    def forget(self, prefix: str) -> None:
        """See base class. What is written meanwhile may stay."""
        for key in self._list()[0]:
            if key.startswith(f"{prefix}/"):
                with suppress(etcd.EtcdKeyNotFound):
                    self._calls.delete(self._key(key), safe=True)

    def num_keys(self) -> int:
        """See base class."""
        return len(self._list()[0])

    def list_keys(self) -> list[str]:
        """See base class."""
        return list(self._list()[0])

    def _key(self, key: str) -> str:
        return self._start + (b64encode(key.encode()).decode().replace("/", "_") or _EMPTY)

    # Reading

    def _list(self) -> tuple[dict[str, bytes], int]:
        """Return all keys with their values, and the index at which that was so."""
        try:
            listed = self._calls.read(self._start)
        except etcd.EtcdKeyNotFound as error:
            return {}, index_of(error)
        found = {}
        for each in listed.leaves:
            if not each.dir:
                name = each.key.rpartition("/")[2].replace("_", "/")
                with suppress(ValueError):  # somebody else's
                    found["" if name == _EMPTY else b64decode(name).decode()] = _value(each)
        return found, listed.etcd_index

    def _look(self, keys: Iterable[str]) -> tuple[dict[str, bytes], int]:
        """Return what is there of ``keys``, and the index at which that was so."""
        names = list(dict.fromkeys(keys))
        if len(names) != 1:
            found, index = self._list() if names else ({}, 0)
            return {key: found[key] for key in names if key in found}, index
        node, index = look(self._calls, self._key(names[0]))
        return {names[0]: _value(node)} if node else {}, index

    def _await(
        self, missing: Set[str], keys: Sequence[str], index: int, limit: float, deadline: float
    ) -> None:
        """Block until each of ``missing``, a part of ``keys``, has been there after ``index``."""
        awaited = set(missing)
        for key in missing:
            after = index
            while key in awaited:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise keys_timeout(limit, awaited, set(keys) - awaited)
                try:
                    event = self._calls.watch(self._key(key), after, min(left, _SLICE))
                    after, written = event.modifiedIndex, event.value is not None
                except etcd.EtcdWatchTimedOut:
                    continue
                except etcd.EtcdEventIndexCleared:
                    node, after = look(self._calls, self._key(key))
                    written = node is not None
                if written:
                    awaited.discard(key)

    # Writing

    def _update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace the value by what ``change`` makes of it, unless that is ``None``; atomically."""
        name = self._key(key)
        for attempt in itertools.count():
            node, index = look(self._calls, name)
            value = change(_value(node) if node else None)
            if value is None:
                return
            marked = b64encode(value).decode() + "".join(secrets.choice(_MARKS) for _ in range(16))
            seen = node.modifiedIndex if node else index
            if swap(self._calls, name, marked, unchanged(node), seen, self._ttl):
                return
            back_off(self._calls, attempt)


def _value(node: Any) -> bytes:
    try:
        return b64decode(node.value or "")
    except ValueError as error:
        raise RendezvousStateError(
            f"The key {node.key} of etcd holds no value of this library's or torch's: {node.value!r:.80}. "
            "Delete it, or choose another run id or prefix."
        ) from error
