"""The store: torch's layout of keys, and waits that watch."""

import itertools
import random
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

import etcd

from rendezvous_core import Store
from rendezvous_core.ports.store import DEFAULT_TIMEOUT, Timeout, Value, encode, integer, keys_timeout
from rendezvous_etcd.v2.backend import CONFLICTS, EtcdRendezvousBackend
from rendezvous_etcd.v2.client import EtcdCalls, UncertainError, index_of

_SLICE = 5.0
_MOST_DOUBTS = 3
_EMPTY = "="
_MARKS = "!#$%&()*,.:;<>?@"
"""Characters that base64 does not use: its readers, torch among them, pass over them."""


class EtcdStore(Store):
    """Keeps its keys under ``prefix`` as torch's class of that name does, so that both can share them.

    Names and values are base64. A slash in the base64 of a name, with which torch loses the key, is an
    underscore here. Each value ends in marks that tell this write from all others: so a write whose
    reply was lost is recognised as done instead of being done twice. torch passes over them.

    Where it cannot be told in the end whether a write was carried out, it raises
    `RendezvousConnectionError`; `delete_key` does so when its first reply is lost.

    Args:
        client: a python-etcd client, or `EtcdCalls`; several stores may share it.
        prefix: the directory of the keys.
        timeout: how long reads wait for their keys.
        ttl: seconds after which a key goes that is not written again; by default keys stay.
    """

    def __init__(
        self,
        client: etcd.Client | EtcdCalls,
        prefix: str,
        timeout: Timeout | None = None,
        ttl: int | None = None,
    ) -> None:
        super().__init__(DEFAULT_TIMEOUT if timeout is None else timeout)
        self._calls = client if isinstance(client, EtcdCalls) else EtcdCalls.of(client)
        self._start = f"/{prefix.strip('/')}/"
        self._ttl = ttl

    @classmethod
    def of_run(cls, backend: EtcdRendezvousBackend) -> "EtcdStore":
        """The store of the run of ``backend``, over its client; the keys live as long as the run."""
        return cls(backend.calls, f"{backend.path}/kv", ttl=backend.ttl)

    def set(self, key: str, value: Value) -> None:
        """See base class."""
        self._write(key, encode(value))

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
        try:
            self._calls.delete(self._key(key))
        except etcd.EtcdKeyNotFound:
            return False
        return True

    def num_keys(self) -> int:
        """See base class."""
        return len(self._list()[0])

    def list_keys(self) -> list[str]:
        """See base class."""
        return list(self._list()[0])

    def _key(self, key: str) -> str:
        return self._start + (b64encode(key.encode()).decode().replace("/", "_") or _EMPTY)

    # Reading

    def _read(self, key: str) -> tuple[Any, int]:
        """Return the node of a key, or ``None``, and the index at which that was so."""
        try:
            found = self._calls.read(self._key(key))
        except etcd.EtcdKeyNotFound as error:
            return None, index_of(error)
        return found, found.etcd_index

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
                found["" if name == _EMPTY else b64decode(name).decode()] = b64decode(each.value)
        return found, listed.etcd_index

    def _look(self, keys: Iterable[str]) -> tuple[dict[str, bytes], int]:
        """Return what is there of ``keys``, and the index at which that was so."""
        names = list(dict.fromkeys(keys))
        if len(names) != 1:
            found, index = self._list() if names else ({}, 0)
            return {key: found[key] for key in names if key in found}, index
        node, index = self._read(names[0])
        return {names[0]: b64decode(node.value)} if node else {}, index

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
                    node, after = self._read(key)
                    written = node is not None
                if written:
                    awaited.discard(key)

    # Writing

    def _update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace the value by what ``change`` makes of it, unless that is ``None``; atomically."""
        for attempt in itertools.count():
            node, _ = self._read(key)
            value = change(b64decode(node.value) if node else None)
            if value is None:
                return
            if self._write(key, value, _unchanged(node)):
                return
            # Writers that meet again and again
            self._calls.rest(random.uniform(0, min(0.001 * 2**attempt, 0.05)))

    def _write(self, key: str, value: bytes, condition: Mapping[str, Any] | None = None) -> bool:
        """Write once, if ``condition`` holds; tell whether it did."""
        name = self._key(key)
        marked = b64encode(value).decode() + "".join(secrets.choice(_MARKS) for _ in range(16))
        current: Mapping[str, Any] = condition or {}
        doubts = 0
        while True:
            try:
                self._calls.write(name, marked, ttl=self._ttl, **current)
            except CONFLICTS:
                doubt = None
            except UncertainError as error:
                doubt, doubts = error, doubts + 1
            else:
                return True
            node, _ = self._read(key)
            if node is not None and node.value == marked:
                return True
            if doubt is not None and doubts >= _MOST_DOUBTS:
                raise doubt
            if condition is None:
                # Whatever stands now may be replaced, but not what an earlier attempt may still write.
                current = _unchanged(node)
            elif doubt is None:
                return False


def _unchanged(node: Any) -> dict[str, Any]:
    """The condition that a key is still as it was when it was read."""
    return {"prevExist": False} if node is None else {"prevIndex": node.modifiedIndex}
