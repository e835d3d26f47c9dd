"""The shared store of those whose backend is no more than one register."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from rendezvous_core.over_register.backend import RegisterBackend
from rendezvous_core.over_register.register import Contents
from rendezvous_core.ports.store import (
    DEFAULT_TIMEOUT,
    Store,
    Timeout,
    Value,
    check_pairs,
    encode,
    integer,
    keys_timeout,
)

T = TypeVar("T")


class RegisterStore(Store):
    """Keeps its keys in the register of ``register_backend``, beside the state and the members.

    For a few small values, such as the addresses at which workers meet: all of them travel with
    every operation of every node. Each operation, `multi_set` included, is atomic. Usable until
    ``register_backend`` is closed.
    """

    def __init__(self, register_backend: RegisterBackend, timeout: Timeout = DEFAULT_TIMEOUT) -> None:
        super().__init__(timeout)
        self._register = register_backend.register

    def set(self, key: str, value: Value) -> None:
        """See base class."""
        self.multi_set([key], [value])

    def get(self, key: str) -> bytes:
        """See base class."""
        return self.multi_get([key])[0]

    def add(self, key: str, amount: int) -> int:
        """See base class."""

        def add(values: dict[str, bytes]) -> int:
            total = integer(key, values.get(key)) + amount
            values[key] = b"%d" % total
            return total

        return self._update(add)

    def append(self, key: str, value: Value) -> None:
        """See base class."""
        data = encode(value)

        def append(values: dict[str, bytes]) -> None:
            values[key] = values.get(key, b"") + data

        self._update(append)

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """See base class."""
        expected, desired = encode(expected_value), encode(desired_value)

        def compare_set(values: dict[str, bytes]) -> bytes:
            if values.get(key, b"") == expected:
                values[key] = desired
            return values.get(key, expected)

        return self._update(compare_set)

    def check(self, keys: Sequence[str]) -> bool:
        """See base class."""
        return self._register.read().values.keys() >= set(keys)

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class."""
        self._await(keys, self._limit(timeout))

    def delete_key(self, key: str) -> bool:
        """See base class."""
        return self._update(lambda values: values.pop(key, None) is not None)

    def num_keys(self) -> int:
        """See base class."""
        return len(self._register.read().values)

    def list_keys(self) -> list[str]:
        """See base class."""
        return list(self._register.read().values)

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """See base class."""
        values = self._await(keys, self._limit(None))
        return [values[key] for key in keys]

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """See base class; atomic here."""
        check_pairs(keys, values)
        data = dict(zip(keys, map(encode, values), strict=True))
        self._update(lambda present: present.update(data))

    def _update(self, change: Callable[[dict[str, bytes]], T]) -> T:
        return self._register.update(lambda contents: change(contents.values))

    def _await(self, keys: Sequence[str], limit: float) -> dict[str, bytes]:
        present: set[str] = set()

        def complete(contents: Contents) -> dict[str, bytes] | None:
            present.clear()
            present.update(contents.values.keys() & set(keys))
            return contents.values if len(present) == len(set(keys)) else None

        values = self._register.poll(complete, limit)
        if values is None:
            self._register.check_open()
            raise keys_timeout(limit, set(keys) - present, present)
        return values
