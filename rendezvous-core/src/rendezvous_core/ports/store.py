"""The port of a shared key-value store, as torch's c10d ``Store``, and what authors of stores share."""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from datetime import timedelta
from secrets import token_hex
from typing import Any, Literal, NoReturn

from rendezvous_core.ports.arguments import check_seconds_of, guard
from rendezvous_core.ports.calls import shielded_method
from rendezvous_core.ports.errors import RendezvousError, RendezvousTimeoutError
from rendezvous_core.ports.limits import MAX_INTEGER, check_integer, is_unicode
from rendezvous_core.ports.redaction import shown

Timeout = timedelta | float
"""A duration: a `timedelta` (as torch's stores take it) or a number of seconds."""

Value = str | bytes
"""What can be written; strings are stored as UTF-8. What is read is always bytes."""

Write = tuple[Literal["set", "append"], str, Value]
"""One of several writes: the method, the key, and the value."""

DEFAULT_TIMEOUT = timedelta(seconds=300)

ABSENT = b"\0absent"
"""What no key holds; to compare a value with it is to look at it."""

NO_PICKLE = (
    "A store cannot be pickled, since it holds connections: open one in the process that needs it, as "
    "rendezvous_core.store_from_env does in a command of rdzv run."
)

_OPERATIONS = {
    *("set", "get", "add", "append", "compare_set", "check", "wait", "delete_key", "num_keys", "list_keys"),
    *("multi_get", "multi_set", "peek_all", "write_all", "queue_push", "queue_pop", "queue_len", "barrier"),
    "clone",
    "forget",
}
"""The methods that may speak with a server."""

_ITEM = b"+"
_ABANDONED = b"-"
_PATIENCE = 0.5


class QueueEmptyError(RendezvousError):
    """`Store.queue_pop` was told not to block and found nothing."""

    _default = "The queue is empty."


class Store(ABC):
    """A key-value store shared by the nodes of one round.

    Same methods, argument names and semantics as ``torch.distributed.Store``. Every method may be
    called from several threads; a blocked `get` or `wait` must not hold up other calls. Reads see
    every write acknowledged before. Raises `RendezvousTimeoutError`, naming the missing keys, when
    a blocking call runs out of time, and `RendezvousConnectionError` when the store is unreachable.

    Signal handlers may call every method, also in the midst of another: whatever a subclass overrides is
    done on another thread where the main thread asks for it (see `ports.calls`). In a child of fork a store
    works, or raises `RendezvousError` at once.

    Arguments are checked here, for the methods of every subclass, before the store is asked: keys are
    text without surrogates, a list of keys is no bare string, amounts are integers of 64 bits, and
    timeouts are at most 31 years; else ``TypeError`` or ``ValueError`` says what is meant.

    The methods that are not abstract are built on those that are. Their own keys are ordinary keys:
    a barrier uses ``<key>/num_members`` and ``<key>/last_member``, as torch's does; a queue uses
    ``<key>/queue/head``, ``<key>/queue/tail`` and ``<key>/queue/<number>``.
    """

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name in _OPERATIONS & vars(cls).keys():
            setattr(cls, name, shielded_method(vars(cls)[name]))
        guard(cls)

    def __init__(self, timeout: Timeout = DEFAULT_TIMEOUT) -> None:
        self.set_timeout(timeout)

    @property
    def timeout(self) -> timedelta:
        """How long `get`, `multi_get`, `wait`, `queue_pop` and `barrier` block at most."""
        return self._timeout

    def set_timeout(self, timeout: Timeout) -> None:
        """Change `timeout`; raises ``ValueError`` unless it is positive."""
        limit = seconds(timeout)
        duration = timedelta(seconds=max(limit, 0))
        if not duration:
            raise ValueError(f"The timeout of a store ({limit:g} seconds) must be positive.")
        self._timeout = duration

    @abstractmethod
    def set(self, key: str, value: Value) -> None:
        """Write ``value``, replacing any former one."""

    @abstractmethod
    def get(self, key: str) -> bytes:
        """Return the value of ``key``, blocking until it exists."""

    @abstractmethod
    def add(self, key: str, amount: int) -> int:
        """Add to an integer atomically and return the sum; a missing key counts as 0.

        The number is kept as decimal text, so `get` reads it. Raises ``ValueError`` if the key
        holds anything else.
        """

    @abstractmethod
    def append(self, key: str, value: Value) -> None:
        """Append to the value atomically; a missing key counts as empty."""

    @abstractmethod
    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """Write ``desired_value`` if ``key`` holds ``expected_value``, atomically.

        A missing key matches an empty ``expected_value``. Returns the value that then stands: the
        desired one after a write, the present one otherwise, and ``expected_value`` itself where
        the key is missing and ``expected_value`` is not empty (nothing is written then).
        """

    @abstractmethod
    def check(self, keys: Sequence[str]) -> bool:
        """Whether all keys exist; never blocks."""

    @abstractmethod
    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """Block until all keys exist, at most ``timeout`` (`Store.timeout` by default).

        A timeout of zero or less looks once.
        """

    @abstractmethod
    def delete_key(self, key: str) -> bool:
        """Delete; ``True`` if the key existed."""

    @abstractmethod
    def num_keys(self) -> int:
        """The number of keys."""

    @abstractmethod
    def list_keys(self) -> list[str]:
        """All keys, in no particular order."""

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """Return the values in the order of ``keys``, blocking until all exist."""
        self.wait(keys)
        return [self.get(key) for key in keys]

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """Write several keys in the order given; others may see the first before the last.

        Raises ``ValueError``, and writes nothing, unless there are as many values as keys.
        """
        check_pairs(keys, values)
        encoded = [encode(value) for value in values]  # what is no value is found before any is written
        for key, value in zip(keys, encoded, strict=True):
            self.set(key, value)

    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values in the order of ``keys``, ``None`` for each that is missing, without waiting.

        Not in torch's stores. Override it where several keys can be looked at in one round trip.
        """
        return [peek(self, key) for key in keys]

    def write_all(self, writes: Sequence[Write]) -> None:
        """Make the writes one after the other; others may see the first before the last.

        Not in torch's stores. Override it where several writes can be sent together.
        """
        for method, key, value in [(method, key, encode(value)) for method, key, value in writes]:
            self.append(key, value) if method == "append" else self.set(key, value)

    def queue_push(self, key: str, value: Value) -> None:
        """Append an item to the queue ``key``. Queues and plain values do not share a key."""
        item = _ITEM + encode(value)
        while True:
            place = _place(key, self.add(_tail(key), 1))
            if self.compare_set(place, b"", item) == item:
                return
            self.delete_key(place)  # a reader took this push for dead and passed over its place

    def queue_pop(self, key: str, block: bool = True, timeout: Timeout | None = None) -> bytes:
        """Take the oldest item of the queue ``key``: one caller gets it, and none loses it.

        Blocks for an item at most ``timeout`` (`Store.timeout` by default; torch has no such
        argument); with ``block=False`` raises `QueueEmptyError` where there is none. Where a pusher
        died half-way, the items behind it arrive half a second later.
        """
        limit = self._limit(timeout)
        deadline = time.monotonic() + limit
        while True:
            head = peek(self, _head(key))
            place = _place(key, _number(head) + 1)
            item = peek(self, place)
            if item is None:
                push_begun = _number(peek(self, _tail(key))) > _number(head)
                if peek(self, _head(key)) != head:
                    continue
                if not (push_begun or block):
                    raise QueueEmptyError(f"The queue {key!r} is empty.")
                left = deadline - time.monotonic() if block else _PATIENCE
                if left <= 0:
                    raise RendezvousTimeoutError(
                        f"Timed out after {limit:g} s waiting for an item in the queue {key!r}."
                    )
                try:
                    self.wait([place], min(left, _PATIENCE))
                except RendezvousTimeoutError:
                    if push_begun and peek(self, _head(key)) == head:
                        self.compare_set(place, b"", _ABANDONED)
                continue
            # Unlike the bare number, the nonce tells one's own step from another reader's.
            claim = f"{_number(head) + 1} {token_hex(8)}".encode()
            if self.compare_set(_head(key), head or b"", claim) == claim and item != _ABANDONED:
                self.delete_key(place)
                return item[len(_ITEM) :]

    def queue_len(self, key: str) -> int:
        """The number of items in the queue ``key``; 0 where there is no such queue."""
        head, tail = peek(self, _head(key)), peek(self, _tail(key))
        return max(0, _number(tail) - _number(head))

    def barrier(self, key: str, world_size: int, timeout: Timeout | None = None) -> None:
        """Block until ``world_size`` callers have come, at most ``timeout`` (`Store.timeout` by default).

        A key serves one barrier: once complete it lets everybody through, and who gave up there
        still counts.
        """
        world_size = check_integer("The world_size of a barrier", world_size, 1, MAX_INTEGER)
        limit = self._limit(timeout)
        members, last = f"{key}/num_members", f"{key}/last_member"
        if self.add(members, 1) >= world_size:
            self.set(last, b"1")
        try:
            self.wait([last], limit)
        except RendezvousTimeoutError as error:
            raise RendezvousTimeoutError(
                f"Timed out after {limit:g} s at the barrier {key!r}: "
                f"{self.add(members, 0)} of {world_size} have come."
            ) from error

    def view(self, prefix: str) -> "Store | None":
        """Return the store's own view of the keys that begin with ``<prefix>/``, named without that.

        ``None``, unless a store says otherwise: then a `PrefixStore` serves.
        """
        return None

    def clone(self) -> "Store":
        """Return a handle of the same data that never waits for calls made on this one.

        That is this very handle, unless a store says otherwise: see the class on threads.
        """
        return self

    def has_extended_api(self) -> bool:
        """Whether `append`, `multi_get` and `multi_set` are there: in every store of ours they are."""
        return True

    def forget(self, prefix: str) -> None:
        """Delete all keys that begin with ``<prefix>/``; not in torch's stores.

        Override it where that can be done at once, or where a view's keys expire by themselves.
        """
        for key in self.list_keys():
            if key.startswith(f"{prefix}/"):
                self.delete_key(key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(NO_PICKLE)

    def _limit(self, timeout: Timeout | None) -> float:
        return seconds(self._timeout if timeout is None else timeout)


guard(Store)


def encode(value: Value) -> bytes:
    """Turn what may be written into what is stored.

    Raises:
        TypeError: it is neither text nor bytes.
        ValueError: it is text that holds surrogates.
    """
    if isinstance(value, str):
        if not is_unicode(value):
            raise ValueError(
                f"The value {shown(value)} holds half a character (a surrogate), which cannot be written "
                "as UTF-8; give bytes."
            )
        return value.encode()
    try:
        return bytes(memoryview(value))
    except TypeError as error:
        raise TypeError(f"A value of a store must be text (str) or bytes, not {shown(value)}.") from error


def seconds(timeout: Timeout) -> float:
    """Turn a duration into seconds; raises as `check_seconds_of` does."""
    return check_seconds_of(timeout.total_seconds() if isinstance(timeout, timedelta) else timeout)


def integer(key: str, value: bytes | None) -> int:
    """Read the operand of a `Store.add`; a missing one is 0."""
    if value is not None and not re.fullmatch(rb"-?[0-9]+", value):
        raise ValueError(f"The key {key!r} holds no integer to add to, but {value!r:.40}.")
    return int(value or 0)


def check_pairs(keys: Sequence[str], values: Sequence[Value]) -> None:
    """Refuse a `Store.multi_set` whose ``keys`` and ``values`` differ in number."""
    if isinstance(values, str | bytes):
        raise TypeError(f"multi_set takes a list of values: write [{shown(values)}] where there is but one.")
    if len(keys) != len(values):
        raise ValueError(f"multi_set needs one value per key, not {len(values)} for {len(keys)} keys.")


def peek(store: Store, key: str) -> bytes | None:
    """Return a value, or ``None`` where there is none, in one operation that never blocks."""
    value = store.compare_set(key, ABSENT, ABSENT)
    return None if value == ABSENT else value


def keys_timeout(
    timeout: Timeout, missing: Collection[str], present: Collection[str]
) -> RendezvousTimeoutError:
    """Build the error of a blocking call that ran out of time."""
    message = f"Timed out after {seconds(timeout):g} s waiting for keys: {_names(missing)}"
    return RendezvousTimeoutError(f"{message}; present: {_names(present)}." if present else f"{message}.")


def _names(keys: Collection[str], most: int = 8) -> str:
    shown = ", ".join(repr(key) for key in sorted(keys)[:most])
    return f"{shown} and {len(keys) - most} more" if len(keys) > most else shown


def _head(key: str) -> str:
    return f"{key}/queue/head"


def _tail(key: str) -> str:
    return f"{key}/queue/tail"


def _place(key: str, number: int) -> str:
    return f"{key}/queue/{number}"


def _number(counter: bytes | None) -> int:
    return int(counter.split()[0]) if counter else 0
