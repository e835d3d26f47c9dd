"""The methods of a torch store, as Python calls them, on top of one of ours."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

from rendezvous_c10d._errors import known_to_torch
from rendezvous_core import Store
from rendezvous_core.ports.store import NO_PICKLE, Timeout, Value, Write


class StoreFacade:
    """Mixed into a class of torch; serves every method from the store ``_port``.

    Same contract as `rendezvous_core.Store`, torch's signatures included: durations may be given
    as ``timedelta`` or in seconds. Errors are those of ``_errors``.
    """

    _port: Store

    def __reduce__(self) -> NoReturn:
        raise TypeError(NO_PICKLE)

    @property
    def timeout(self) -> timedelta:
        """How long blocking calls block at most."""
        return self._port.timeout

    def set_timeout(self, timeout: Timeout) -> None:
        """Change `timeout`."""
        self._port.set_timeout(timeout)

    def set(self, key: str, value: Value) -> None:
        """See base class."""
        with known_to_torch():
            self._port.set(key, value)

    def get(self, key: str) -> bytes:
        """See base class."""
        with known_to_torch():
            return self._port.get(key)

    def add(self, key: str, amount: int) -> int:
        """See base class."""
        with known_to_torch():
            return self._port.add(key, amount)

    def append(self, key: str, value: Value) -> None:
        """See base class."""
        with known_to_torch():
            self._port.append(key, value)

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """See base class."""
        with known_to_torch():
            return self._port.compare_set(key, expected_value, desired_value)

    def check(self, keys: Sequence[str]) -> bool:
        """See base class."""
        with known_to_torch():
            return self._port.check(keys)

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class."""
        with known_to_torch():
            self._port.wait(keys, timeout)

    def delete_key(self, key: str) -> bool:
        """See base class."""
        with known_to_torch():
            return self._port.delete_key(key)

    def num_keys(self) -> int:
        """See base class."""
        with known_to_torch():
            return self._port.num_keys()

    def list_keys(self) -> list[str]:
        """See base class."""
        with known_to_torch():
            return self._port.list_keys()

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """See base class."""
        with known_to_torch():
            return self._port.multi_get(keys)

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """See base class."""
        with known_to_torch():
            self._port.multi_set(keys, values)

    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `rendezvous_core.Store`."""
        with known_to_torch():
            return self._port.peek_all(keys)

    def write_all(self, writes: Sequence[Write]) -> None:
        """See `rendezvous_core.Store`."""
        with known_to_torch():
            self._port.write_all(writes)

    def forget(self, prefix: str) -> None:
        """See `rendezvous_core.Store`."""
        with known_to_torch():
            self._port.forget(prefix)

    def queue_push(self, key: str, value: Value) -> None:
        """See base class."""
        with known_to_torch():
            self._port.queue_push(key, value)

    def queue_pop(self, key: str, block: bool = True, timeout: Timeout | None = None) -> bytes:
        """See base class."""
        with known_to_torch():
            return self._port.queue_pop(key, block, timeout)

    def queue_len(self, key: str) -> int:
        """See base class."""
        with known_to_torch():
            return self._port.queue_len(key)

    def barrier(self, key: str, world_size: int, timeout: Timeout | None = None) -> None:
        """See base class."""
        with known_to_torch():
            self._port.barrier(key, world_size, timeout)

    def has_extended_api(self) -> bool:
        """See base class."""
        return True

    def clone(self) -> Any:
        """See base class."""
        raise NotImplementedError
