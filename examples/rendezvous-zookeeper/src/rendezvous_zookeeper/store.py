"""The shared store: a node for each key."""

import re
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from kazoo.exceptions import BadVersionError, NodeExistsError, NoNodeError

from rendezvous_core import RendezvousTimeoutError, Store
from rendezvous_zookeeper.session import Session, znode

Value = str | bytes
Timeout = timedelta | float

_PRESENT, _ABSENT = b"+", b"-"
_LONGEST = 1e9
"""Seconds; longer ones overflow somewhere."""


class ZookeeperStore(Store):
    """Keeps its keys below ``path``, and is usable until ``session`` is closed.

    A deleted key leaves a marked node behind, so that the versions of a node never begin again and
    a compare-and-set cannot take a new value for an old one.

    Values have at most a million bytes; longer ones are a ``ValueError``.
    """

    def __init__(self, session: Session, path: str) -> None:
        super().__init__()
        self._session = session
        self._path = path

    def set(self, key: str, value: Value) -> None:
        self._session.put(self._node(key), _PRESENT + _bytes(value))

    def get(self, key: str) -> bytes:
        return self.multi_get([key])[0]

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        found = self._await(keys, self.timeout)
        return [found[key] for key in keys]

    def add(self, key: str, amount: int) -> int:
        def add(value: bytes | None) -> bytes:
            if value is not None and not re.fullmatch(rb"[+-]?[0-9]+", value):
                raise ValueError(f"The key {key!r} holds {value[:40]!r}, which is no integer to add to.")
            return b"%d" % (int(value or 0) + amount)

        return int(self._update(key, add))

    def append(self, key: str, value: Value) -> None:
        self._update(key, lambda present: (present or b"") + _bytes(value))

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        expected, desired = _bytes(expected_value), _bytes(desired_value)

        def compare_set(present: bytes | None) -> bytes | None:
            return desired if (present or b"") == expected else present

        return self._update(key, compare_set, expected)

    def check(self, keys: Sequence[str]) -> bool:
        return all(self._find(key)[0] is not None for key in keys)

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        self._await(keys, self.timeout if timeout is None else timeout)

    def delete_key(self, key: str) -> bool:
        existed = False

        def delete(present: bytes | None) -> None:
            nonlocal existed
            existed = present is not None

        self._update(key, delete)
        return existed

    def num_keys(self) -> int:
        return len(self.list_keys())

    def list_keys(self) -> list[str]:
        try:
            names = self._session.read("get_children", self._path)
        except NoNodeError:
            return []
        values = self._session.read_all([f"{self._path}/{name}" for name in names])
        present = [path for path, value in values.items() if value.startswith(_PRESENT)]
        return [unquote(path.rpartition("/=")[2]) for path in present]

    def _node(self, key: str) -> str:
        return f"{self._path}/{znode(key)}"

    def _find(self, key: str, watch: Callable[[Any], None] | None = None) -> tuple[bytes | None, int | None]:
        """Return the value, ``None`` where there is none, and the version of the node if there is one."""
        while True:
            try:
                data, stat = self._session.read("get", self._node(key), watch=watch)
            except NoNodeError:
                # Only this request sets a watch where there is no node.
                if watch is None or not self._session.read("exists", self._node(key), watch=watch):
                    return None, None
            else:
                return data[1:] if data.startswith(_PRESENT) else None, stat.version

    def _update(
        self, key: str, change: Callable[[bytes | None], bytes | None], otherwise: bytes = b""
    ) -> bytes:
        """Turn the value into what ``change`` makes of it, atomically, and return it, or ``otherwise``."""
        while True:
            present, version = self._find(key)
            value = change(present)
            if value == present:
                return otherwise if value is None else value
            data = _ABSENT if value is None else _PRESENT + value
            try:
                if version is None:
                    self._session.create(self._node(key), data)
                else:
                    self._session.call("set", self._node(key), data, version=version)
            except (BadVersionError, NodeExistsError):
                continue
            return otherwise if value is None else value

    def _await(self, keys: Sequence[str], timeout: Timeout) -> dict[str, bytes]:
        limit = _seconds(timeout)
        deadline = time.monotonic() + limit
        found: dict[str, bytes] = {}
        while True:
            rings = self._session.rings
            for key in dict.fromkeys(keys):
                if key not in found:
                    value, _ = self._find(key, self._session.ring)
                    if value is not None:
                        found[key] = value
            missing = sorted(set(keys) - found.keys())
            if not missing:
                return found
            if not self._session.listen(rings, deadline - time.monotonic()):
                names = ", ".join(map(repr, missing[:8]))
                raise RendezvousTimeoutError(f"Timed out after {limit:g} s waiting for keys: {names}.")


def _bytes(value: Value) -> bytes:
    if not isinstance(value, str):
        return bytes(memoryview(value))  # a number has none, and would be that many zeros
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"The value {value!r:.80} cannot be written as UTF-8: give bytes.") from error


def _seconds(timeout: Timeout) -> float:
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if not isinstance(seconds, float | int):
        raise TypeError(f"A timeout must be a timedelta or a number of seconds, not {timeout!r:.80}.")
    if not seconds <= _LONGEST:
        raise ValueError(f"The timeout ({timeout}) must be a number of seconds up to {_LONGEST:.0f}.")
    return seconds
