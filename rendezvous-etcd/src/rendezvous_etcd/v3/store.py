"""The store: every write one transaction, every wait a watch."""

import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from secrets import randbits
from typing import TypeVar

from pyetcd import etcdrpc as rpc

from rendezvous_core import Store
from rendezvous_core.ports.store import (
    DEFAULT_TIMEOUT,
    Timeout,
    Value,
    check_pairs,
    encode,
    integer,
    keys_timeout,
)
from rendezvous_etcd.v3.backend import Etcd3RendezvousBackend
from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.lease import Lease
from rendezvous_etcd.v3.operations import delete, get, prefix_end, put, unchanged
from rendezvous_etcd.v3.receipts import Receipts
from rendezvous_etcd.v3.snapshot import read_all
from rendezvous_etcd.v3.watch import KeyRange, WatchEndedError
from rendezvous_etcd.v3.watcher import Watcher

T = TypeVar("T")

_RECEIPT_TTL = 600
_PAUSE = 0.01
_SLICE = 30.0
"""Seconds after which a wait looks again: etcd's proxy does not tell that the cluster lost its data."""
_BATCH = 100
"""How many keys one transaction touches at most; etcd's default limit is 128 operations."""


class Etcd3Store(Store):
    """Keeps its keys in a cluster, under ``<prefix>/kv/``, values as they are.

    Every write leaves a receipt in the same transaction, and expects its former one: so a write whose
    reply was lost is recognised as done instead of being done twice, and one that was held up
    somewhere while its caller tried again has no effect when it arrives. `multi_set` writes 100 keys
    at a time, all or none of them.

    Args:
        client: the client; several stores may share it.
        prefix: where the keys are.
        timeout: how long reads wait for their keys.
    """

    def __init__(self, client: Etcd3Client, prefix: str, timeout: Timeout | None = None) -> None:
        super().__init__(DEFAULT_TIMEOUT if timeout is None else timeout)
        self._set_up(client, f"{prefix.rstrip('/')}/".encode(), Watcher(client), None)

    @classmethod
    def of_run(cls, backend: Etcd3RendezvousBackend) -> "Etcd3Store":
        """The store of the run of ``backend``, over its connection; the keys live as long as the run."""
        store = cls.__new__(cls)
        Store.__init__(store)
        store._set_up(backend.client, backend.path, backend.watcher, backend.lease)
        store._backend = backend  # which closes the client when nobody refers to it any more
        return store

    def _set_up(self, client: Etcd3Client, path: bytes, watcher: Watcher, lease: Lease | None) -> None:
        self._client = client
        self._start = path + b"kv/"
        self._watcher = watcher
        self._lease = lease.id if lease else 0
        receipt_lease = lease or Lease(client, randbits(62) + 1, _RECEIPT_TTL)
        self._receipts = Receipts(client, path + b"receipts/", receipt_lease)
        self._backend: Etcd3RendezvousBackend | None = None

    def set(self, key: str, value: Value) -> None:
        """See base class."""
        self._receipts.write([self._put(key, encode(value))])

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """See base class."""
        check_pairs(keys, values)
        # One transaction must not write a key twice; the last value is the one to stand.
        latest = dict(zip(keys, values, strict=True))
        for batch in _batches([self._put(key, encode(value)) for key, value in latest.items()]):
            self._receipts.write(batch)

    def get(self, key: str) -> bytes:
        """See base class."""
        return self.multi_get([key])[0]

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """See base class."""
        limit = self._limit(None)
        deadline = time.monotonic() + limit
        while True:
            found = self._look(keys)
            if missing := set(keys) - found.keys():
                self._await(missing, keys, limit, deadline)
            else:
                return [found[key] for key in keys]

    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """See base class."""
        found = self._look(keys)
        return [found.get(key) for key in keys]

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class. Each key has to appear; that it stays until the others come is not asked."""
        limit = self._limit(timeout)
        deadline = time.monotonic() + limit
        self._await(self._missing(keys), keys, limit, deadline)

    def check(self, keys: Sequence[str]) -> bool:
        """See base class."""
        return not self._missing(keys)

    def add(self, key: str, amount: int) -> int:
        """See base class."""
        total = 0

        def change(present: bytes | None) -> rpc.RequestOp:
            nonlocal total
            total = integer(key, present) + amount
            return self._put(key, b"%d" % total)

        self._update(key, change)
        return total

    def append(self, key: str, value: Value) -> None:
        """See base class."""
        data = encode(value)
        self._update(key, lambda present: self._put(key, (present or b"") + data))

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """See base class."""
        expected, desired = encode(expected_value), encode(desired_value)
        standing = expected

        def change(present: bytes | None) -> rpc.RequestOp | None:
            nonlocal standing
            if (present or b"") == expected:
                standing = desired
                return self._put(key, desired)
            standing = expected if present is None else present
            return None

        self._update(key, change)
        return standing

    def delete_key(self, key: str) -> bool:
        """See base class."""
        existed = False

        def change(present: bytes | None) -> rpc.RequestOp | None:
            nonlocal existed
            existed = present is not None
            return delete(self._key(key)) if existed else None

        self._update(key, change)
        return existed

    def forget(self, prefix: str) -> None:
        """See base class."""
        start = self._key(f"{prefix}/")
        self._receipts.write([delete(start, prefix_end(start))])

    def num_keys(self) -> int:
        """See base class."""
        request = rpc.RangeRequest(key=self._start, range_end=prefix_end(self._start), count_only=True)
        return int(self._client.call("Range", request).count)

    def list_keys(self) -> list[str]:
        """See base class."""
        request = rpc.RangeRequest(key=self._start, range_end=prefix_end(self._start), keys_only=True)
        return [
            each.key[len(self._start) :].decode(errors="backslashreplace")
            for each in self._client.call("Range", request).kvs
        ]

    def _key(self, key: str) -> bytes:
        return self._start + key.encode()

    def _put(self, key: str, value: bytes) -> rpc.RequestOp:
        return put(self._key(key), value, self._lease)

    # Reading

    def _look(self, keys: Iterable[str], keys_only: bool = False) -> dict[str, bytes]:
        names = {self._key(key): key for key in keys}
        found = read_all(self._client, list(names), keys_only)
        return {names[name]: value for name, value in found.items()}

    def _missing(self, keys: Iterable[str]) -> Set[str]:
        return set(keys) - self._look(keys, keys_only=True).keys()

    def _await(self, missing: Set[str], keys: Sequence[str], limit: float, deadline: float) -> None:
        """Block until each of ``missing``, a part of ``keys``, has been there."""
        while missing:
            left = deadline - time.monotonic()
            if left <= 0:
                raise keys_timeout(limit, missing, set(keys) - missing)
            watch = self._watcher.open(*(KeyRange(self._key(key)) for key in missing))
            try:
                if watch.wait_until_begun(left):
                    missing = self._missing(missing)
                    left = min(deadline - time.monotonic(), _SLICE)
                    watch.wait_for_puts({self._key(key) for key in missing}, left)
            except WatchEndedError:
                self._client.rest(_PAUSE)
                missing = self._missing(missing)  # tells what is wrong, or asks for a new token
            finally:
                self._watcher.close(watch)
            missing = {key for key in missing if self._key(key) not in watch.puts}

    # Writing

    def _update(self, key: str, change: Callable[[bytes | None], rpc.RequestOp | None]) -> None:
        """Have ``change`` turn the value into a write, or into nothing to write; atomically."""
        name = self._key(key)
        # A key that is new needs no look at it.
        revision, present, known = 0, None, False
        for attempt in itertools.count():
            write = change(present)
            if write is not None:
                answers = self._receipts.write([write], [unchanged(name, revision)], [get(name)])
                if answers is None:
                    return
                found = answers[0].response_range.kvs
            elif known:
                return
            else:
                found = self._client.call("Range", rpc.RangeRequest(key=name)).kvs
            revision, present, known = (
                (found[0].mod_revision, found[0].value, True) if found else (0, None, True)
            )
            if attempt > 1:  # writers that meet again and again
                self._client.rest(random.uniform(0, min(0.0005 * 2**attempt, 0.05)))


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
