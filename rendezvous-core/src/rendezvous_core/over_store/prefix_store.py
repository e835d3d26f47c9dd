"""A view of another store under a prefix."""

import functools
import re
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar, cast

from rendezvous_core.plugins.loading import adapt_store
from rendezvous_core.ports.arguments import check_key
from rendezvous_core.ports.errors import RendezvousError
from rendezvous_core.ports.store import Store, Timeout, Value, Write, peek

P = ParamSpec("P")
T = TypeVar("T")


def _named_as_here(method: Callable[P, T]) -> Callable[P, T]:
    """Have the errors of ``method`` name keys as its caller does."""

    @functools.wraps(method)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return method(*arguments, **options)
        except (RendezvousError, ValueError) as error:
            view = cast("PrefixStore", arguments[0])
            error.args = tuple(map(view._without_prefix, error.args))
            raise

    return call


class PrefixStore(Store):
    """Keeps its keys in ``store`` as ``<prefix>/<key>``, as torch's class does; views nest.

    Two things differ from torch's: `num_keys` and `list_keys` know only the keys of this view,
    named as they are here, and `set_timeout` changes this view alone. The timeout starts as that
    of ``store``.
    """

    def __init__(self, prefix: str, store: Store) -> None:
        store = adapt_store(store)
        super().__init__(store.timeout)
        check_key(prefix)
        self._start = f"{prefix}/"
        self._store = store

    @property
    def underlying_store(self) -> Store:
        """The store under this view."""
        return self._store

    @_named_as_here
    def set(self, key: str, value: Value) -> None:
        """See base class."""
        self._store.set(self._start + key, value)

    @_named_as_here
    def get(self, key: str) -> bytes:
        """See base class."""
        key = self._start + key
        if self._timeout == self._store.timeout:
            return self._store.get(key)
        while True:
            self._store.wait([key], self._timeout)
            value = peek(self._store, key)
            if value is not None:
                return value

    @_named_as_here
    def add(self, key: str, amount: int) -> int:
        """See base class."""
        return self._store.add(self._start + key, amount)

    @_named_as_here
    def append(self, key: str, value: Value) -> None:
        """See base class."""
        self._store.append(self._start + key, value)

    @_named_as_here
    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """See base class."""
        return self._store.compare_set(self._start + key, expected_value, desired_value)

    @_named_as_here
    def check(self, keys: Sequence[str]) -> bool:
        """See base class."""
        return self._store.check(self._full(keys))

    @_named_as_here
    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class."""
        self._store.wait(self._full(keys), self._limit(timeout))

    @_named_as_here
    def delete_key(self, key: str) -> bool:
        """See base class."""
        return self._store.delete_key(self._start + key)

    def num_keys(self) -> int:
        """The number of keys under the prefix."""
        return len(self.list_keys())

    def list_keys(self) -> list[str]:
        """The keys under the prefix, without it."""
        keys = self._store.list_keys()
        return [key.removeprefix(self._start) for key in keys if key.startswith(self._start)]

    @_named_as_here
    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """See base class."""
        if self._timeout != self._store.timeout:
            self._store.wait(self._full(keys), self._limit(None))
        return self._store.multi_get(self._full(keys))

    @_named_as_here
    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """See base class."""
        self._store.multi_set(self._full(keys), values)

    @_named_as_here
    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """See base class."""
        return self._store.peek_all(self._full(keys))

    @_named_as_here
    def write_all(self, writes: Sequence[Write]) -> None:
        """See base class."""
        self._store.write_all([(method, self._start + key, value) for method, key, value in writes])

    @_named_as_here
    def queue_push(self, key: str, value: Value) -> None:
        """See base class."""
        self._store.queue_push(self._start + key, value)

    @_named_as_here
    def queue_pop(self, key: str, block: bool = True, timeout: Timeout | None = None) -> bytes:
        """See base class."""
        return self._store.queue_pop(self._start + key, block, self._limit(timeout))

    @_named_as_here
    def queue_len(self, key: str) -> int:
        """See base class."""
        return self._store.queue_len(self._start + key)

    @_named_as_here
    def barrier(self, key: str, world_size: int, timeout: Timeout | None = None) -> None:
        """See base class."""
        self._store.barrier(self._start + key, world_size, self._limit(timeout))

    def clone(self) -> "PrefixStore":
        """See base class."""
        view = PrefixStore(self._start[:-1], self._store.clone())
        view.set_timeout(self._timeout)
        return view

    def has_extended_api(self) -> bool:
        """See base class."""
        return self._store.has_extended_api()

    def _without_prefix(self, told: object) -> object:
        # Keys are shown in quotes, as `repr` writes them.
        start = re.escape(repr(self._start)[1:-1])
        return re.sub(f"""(?<=['"]){start}""", "", told) if isinstance(told, str) else told

    def _full(self, keys: Sequence[str]) -> list[str]:
        return [self._start + key for key in keys]

    def forget(self, prefix: str) -> None:
        """See base class."""
        self._store.forget(self._start + prefix)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._start[:-1]!r} of {self._store!r}>"


def view(prefix: str, store: Store) -> Store:
    """Return a view of ``store``: its own, or else a `PrefixStore`."""
    return store.view(prefix) or PrefixStore(prefix, store)
