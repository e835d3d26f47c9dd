"""The port of a shared key-value store: the interface of torch's c10d ``Store``."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta

Timeout = timedelta | float
"""A duration: a `timedelta` (as torch's stores take it) or a number of seconds."""

Value = str | bytes
"""What can be written; strings are stored as UTF-8. What is read is always bytes."""

DEFAULT_TIMEOUT = timedelta(seconds=300)


class Store(ABC):
    """A key-value store shared by the nodes of one round.

    Same methods, argument names and semantics as ``torch.distributed.Store``. Every method may be
    called from several threads; a blocked `get` or `wait` must not hold up other calls. Reads see
    every write acknowledged before. Raises `RendezvousTimeoutError`, naming the missing keys, when
    a blocking call runs out of time, and `RendezvousConnectionError` when the store is unreachable.
    """

    def __init__(self, timeout: Timeout = DEFAULT_TIMEOUT) -> None:
        self.set_timeout(timeout)

    @property
    def timeout(self) -> timedelta:
        """How long `get`, `multi_get`, `wait`, `queue_pop` and `barrier` block at most."""
        return self._timeout

    def set_timeout(self, timeout: Timeout) -> None:
        """Change `timeout`; raises ``ValueError`` unless it is positive."""
        duration = timeout if isinstance(timeout, timedelta) else timedelta(seconds=timeout)
        if duration <= timedelta(0):
            raise ValueError(f"The timeout of a store ({duration}) must be positive.")
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
        """Block until all keys exist, at most ``timeout`` (`Store.timeout` by default)."""

    @abstractmethod
    def delete_key(self, key: str) -> bool:
        """Delete; ``True`` if the key existed."""

    @abstractmethod
    def num_keys(self) -> int:
        """The number of keys."""

    @abstractmethod
    def list_keys(self) -> list[str]:
        """All keys, in no particular order."""
