"""A store whose values are sealed."""

from collections.abc import Callable, Sequence

from rendezvous_core.ports.limits import MAX_INTEGER
from rendezvous_core.ports.store import Store, Timeout, Value, Write, check_pairs, encode, integer, peek
from rendezvous_core.sealing.keys import Keyring
from rendezvous_core.sealing.seal import Seal

_VALUE = "value of a key"
_ITEM = "item of a queue"


class SealedStore(Store):
    """Keeps its keys in ``store``, and their values sealed: without the secret only names are seen.

    What a server does by itself elsewhere (`add`, `append`, `compare_set`) takes a look and a write here,
    and again both where others write at the same time. A value is bound to its key and to the run; what
    an intruder can do is delete it, or bring back one that stood at the same key before.

    Raises `RendezvousSecretError` where a value does not open.

    Args:
        store: keeps what is sealed; shares its timeout.
        keyring: the secrets.
        run_id: the run that values are bound to.
        start: what the names of the keys begin with, where ``store`` is a view that leaves it out.
    """

    def __init__(self, store: Store, keyring: Keyring, run_id: str, start: str = "") -> None:
        self._store = store
        super().__init__(store.timeout)
        self._keyring = keyring
        self._run_id = run_id
        self._start = start
        self._seal = Seal(keyring, run_id)

    def set_timeout(self, timeout: Timeout) -> None:
        """See base class."""
        super().set_timeout(timeout)
        self._store.set_timeout(timeout)

    def set(self, key: str, value: Value) -> None:
        """See base class."""
        self._store.set(key, self._sealed(key, value))

    def get(self, key: str) -> bytes:
        """See base class."""
        return self._opened(key, self._store.get(key))

    def add(self, key: str, amount: int) -> int:
        """See base class."""

        def add(former: bytes | None) -> bytes:
            total = integer(key, former) + amount
            if not -MAX_INTEGER - 1 <= total <= MAX_INTEGER:
                raise ValueError(
                    f"The key {key!r} holds no integer to which {amount} could be added within 64 bits."
                )
            return b"%d" % total

        return int(self._change(key, peek(self._store, key), add) or 0)

    def append(self, key: str, value: Value) -> None:
        """See base class."""
        data = encode(value)
        self._change(key, peek(self._store, key), lambda former: (former or b"") + data)

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """See base class."""
        expected, desired = encode(expected_value), encode(desired_value)

        def compare_set(former: bytes | None) -> bytes | None:
            return desired if (former or b"") == expected else None

        # Where nothing is expected, mostly nothing stands.
        present = peek(self._store, key) if expected else None
        standing = self._change(key, present, compare_set)
        return expected if standing is None else standing

    def check(self, keys: Sequence[str]) -> bool:
        """See base class."""
        return self._store.check(keys)

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class."""
        self._store.wait(keys, self._limit(timeout))

    def delete_key(self, key: str) -> bool:
        """See base class."""
        return self._store.delete_key(key)

    def num_keys(self) -> int:
        """See base class."""
        return self._store.num_keys()

    def list_keys(self) -> list[str]:
        """See base class."""
        return self._store.list_keys()

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """See base class."""
        return [
            self._opened(key, value) for key, value in zip(keys, self._store.multi_get(keys), strict=True)
        ]

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """See base class."""
        check_pairs(keys, values)
        self._store.multi_set(
            keys, [self._sealed(key, value) for key, value in zip(keys, values, strict=True)]
        )

    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """See base class."""
        found = zip(keys, self._store.peek_all(keys), strict=True)
        return [None if value is None else self._opened(key, value) for key, value in found]

    def write_all(self, writes: Sequence[Write]) -> None:
        """See base class."""
        if any(method == "append" for method, _, _ in writes):
            super().write_all(writes)
        else:
            self._store.write_all([(method, key, self._sealed(key, value)) for method, key, value in writes])

    def queue_push(self, key: str, value: Value) -> None:
        """See base class."""
        self._store.queue_push(key, self._seal.seal(_ITEM, self._start + key, encode(value)))

    def queue_pop(self, key: str, block: bool = True, timeout: Timeout | None = None) -> bytes:
        """See base class."""
        return self._seal.open(
            _ITEM, self._start + key, self._store.queue_pop(key, block, self._limit(timeout))
        )

    def queue_len(self, key: str) -> int:
        """See base class."""
        return self._store.queue_len(key)

    def view(self, prefix: str) -> "SealedStore | None":
        """See base class."""
        inner = self._store.view(prefix)
        if inner is None:
            return None
        return SealedStore(inner, self._keyring, self._run_id, f"{self._start}{prefix}/")

    def clone(self) -> "SealedStore":
        """See base class."""
        return SealedStore(self._store.clone(), self._keyring, self._run_id, self._start)

    def forget(self, prefix: str) -> None:
        """See base class."""
        self._store.forget(prefix)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._store!r}>"

    def _sealed(self, key: str, value: Value) -> bytes:
        return self._seal.seal(_VALUE, self._start + key, encode(value))

    def _opened(self, key: str, sealed: bytes) -> bytes:
        return self._seal.open(_VALUE, self._start + key, sealed)

    def _change(
        self, key: str, sealed: bytes | None, change: Callable[[bytes | None], bytes | None]
    ) -> bytes | None:
        """Write what ``change`` makes of the value; return what then stands.

        ``sealed`` is what seems to stand now. ``change`` writes nothing where it returns ``None``.
        """
        while True:
            former = None if sealed is None else self._opened(key, sealed)
            value = change(former)
            if value is None:
                return former
            new = self._sealed(key, value)
            standing = self._store.compare_set(key, sealed or b"", new)
            if standing == new:
                return value
            sealed = None if standing == sealed else standing  # it was deleted, or somebody was faster


def sealed_store(store: Store, keyring: Keyring | None, run_id: str) -> Store:
    """Return ``store``, sealed if it is not yet.

    Raises:
        ValueError: there is no secret.
    """
    if keyring is None:
        raise ValueError("The option 'seal_store' needs a secret: give 'secret_file', or RENDEZVOUS_SECRET.")
    return store if isinstance(store, SealedStore) else SealedStore(store, keyring, run_id)
