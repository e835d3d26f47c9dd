"""The shared store: values and queues in a hash each."""

import time
import weakref
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from rendezvous_core import PrefixStore, QueueEmptyError, RendezvousTimeoutError, Store
from rendezvous_core.ports.store import DEFAULT_TIMEOUT, Timeout, Value, check_pairs, encode, keys_timeout
from rendezvous_redis._mailbox import Mailbox
from rendezvous_redis._replies import Kind, data, each, listed, number, optional, refuse, text
from rendezvous_redis._run import RedisRun
from rendezvous_redis._scripts import Script
from rendezvous_redis._store_scripts import ADD, APPEND, COMPARE_SET, DELETE, POP, PUSH, SET

T = TypeVar("T")


class RedisStore(Store):
    """Keeps the keys of one run; every method, `multi_set` and the queues included, is atomic.

    A write happens once, even where its reply was lost and it had to be sent again. While the
    server cannot be reached all methods try for ``read_timeout`` seconds. Queues lie beside the keys,
    so that `num_keys` and `list_keys` leave them out. Any number of threads that block share one
    connection.

    Args:
        run: the run whose keys these are; shared with its backend, the connections are so too.
        timeout: as in `Store`.

    Raises:
        ValueError: the timeout is not positive.
    """

    def __init__(self, run: RedisRun, timeout: Timeout = DEFAULT_TIMEOUT) -> None:
        super().__init__(timeout)
        self._run = run
        self._mailbox = Mailbox(run)

    def set(self, key: str, value: Value) -> None:
        """See base class."""
        self.multi_set([key], [value])

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """See base class; atomic here."""
        check_pairs(keys, values)
        pairs = [each for key, value in zip(keys, values, strict=True) for each in (key, encode(value))]
        self._write(data, SET, *pairs)

    def get(self, key: str) -> bytes:
        """See base class."""
        return self.multi_get([key])[0]

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """See base class."""
        deadline = time.monotonic() + self._limit(None)
        while keys:
            found = self._read(each(*[optional(data)] * len(keys)), "HMGET", *keys)
            values = [value for value in found if value is not None]
            if len(values) == len(keys):
                return values
            missing = [key for key, value in zip(keys, found, strict=True) if value is None]
            self._await(missing, keys, deadline, self._timeout)
        return []

    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """See base class."""
        return self._read(each(*[optional(data)] * len(keys)), "HMGET", *keys) if keys else []

    def add(self, key: str, amount: int) -> int:
        """See base class. The sum must fit into 64 bits."""
        total = self._write(_sum, ADD, key, int(amount))
        if total is None:
            raise ValueError(
                f"The key {key!r} holds no integer to which {amount} could be added within 64 bits."
            )
        return total

    def append(self, key: str, value: Value) -> None:
        """See base class."""
        self._write(data, APPEND, key, encode(value))

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """See base class."""
        expected, desired = encode(expected_value), encode(desired_value)
        outcome = self._write(_outcome, COMPARE_SET, key, expected, desired)
        return desired if outcome == b"=" else expected if outcome == b"?" else outcome[1:]

    def check(self, keys: Sequence[str]) -> bool:
        """See base class."""
        return not self._missing(keys)

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class."""
        limit = self._timeout if timeout is None else timeout
        deadline = time.monotonic() + self._limit(limit)
        if missing := self._missing(keys):
            self._await(missing, keys, deadline, limit)

    def delete_key(self, key: str) -> bool:
        """See base class."""
        return self._write(data, DELETE, key) == b"1"

    def num_keys(self) -> int:
        """See base class."""
        return self._read(number, "HLEN")

    def list_keys(self) -> list[str]:
        """See base class."""
        return self._read(listed(text), "HKEYS")

    def queue_push(self, key: str, value: Value) -> None:
        """See base class."""
        self._write(data, PUSH, key, encode(value), hash_=self._run.keys.queues)

    def queue_pop(self, key: str, block: bool = True, timeout: Timeout | None = None) -> bytes:
        """See base class."""
        limit = self._limit(timeout)
        deadline = time.monotonic() + limit
        while True:
            outcome = self._write(_outcome, POP, key, hash_=self._run.keys.queues)
            if outcome != b"?":
                return outcome[1:]
            if not block:
                raise QueueEmptyError(f"The queue {key!r} is empty.")
            if time.monotonic() >= deadline or self._mailbox.wait([f"q{key}"], deadline):
                raise RendezvousTimeoutError(
                    f"Timed out after {limit:g} s waiting for an item in the queue {key!r}."
                )

    def queue_len(self, key: str) -> int:
        """See base class."""
        command = ("HMGET", self._run.keys.queues, f"h{key}", f"t{key}")
        head, tail = self._run.client.call(_ENDS, *command, patience=self._run.patience)
        return (tail or 0) - (head or 0)

    def view(self, prefix: str) -> Store:
        """See base class. The keys of a view expire by themselves once no node holds it any more.

        That is what becomes of past rounds. Nodes tell which views they hold with their heartbeats.
        """
        return _View(prefix, self)

    def forget(self, prefix: str) -> None:
        """Do nothing: the keys of a `view` expire by themselves."""

    def _write(self, kind: Kind[T], script: Script, *arguments: Any, hash_: str | None = None) -> T:
        run = self._run
        keys = (hash_ or run.keys.values, run.keys.waiters)
        return run.client.call_once(kind, script, keys, run.ttl, *arguments, patience=run.patience)

    def _read(self, kind: Kind[T], command: str, *keys: str) -> T:
        return self._run.client.call(kind, command, self._run.keys.values, *keys, patience=self._run.patience)

    def _missing(self, keys: Sequence[str]) -> list[str]:
        if not keys:
            return []
        commands = [("HEXISTS", self._run.keys.values, key) for key in keys]
        there = self._run.client.call_all(listed(number), *commands, patience=self._run.patience)
        return [key for key, is_there in zip(keys, there, strict=True) if not is_there]

    def _await(
        self, missing: Collection[str], keys: Collection[str], deadline: float, limit: Timeout
    ) -> None:
        if time.monotonic() < deadline:
            missing = [name[1:] for name in self._mailbox.wait([f"k{key}" for key in missing], deadline)]
        if missing:
            raise keys_timeout(limit, set(missing), set(keys).difference(missing))


_ENDS = each(optional(number), optional(number))
"""The first and the last item of a queue."""


def _sum(reply: Any) -> int | None:
    return None if reply == b"!" else number(reply)


def _outcome(reply: Any) -> bytes:
    return found if (found := data(reply))[:1] in (b"=", b"?", b"!") else refuse(reply)


class _View(PrefixStore):
    """A view that is known to be held, until it is garbage-collected."""

    def __init__(self, prefix: str, store: RedisStore) -> None:
        super().__init__(prefix, store)
        views, me = store._run.views, object()
        views[me] = prefix
        weakref.finalize(self, views.pop, me, None).atexit = False

    def clone(self) -> PrefixStore:
        """See base class; whoever holds a view may hold it twice."""
        return self
