"""Stores and registers that can be watched, interrupted and made to lose replies."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from rendezvous_core import RendezvousBackend, RendezvousConnectionError, Store, Token
from rendezvous_core.ports.store import Timeout, Value
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore

PATIENCE = 30.0


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait for what nobody tells of; fail with ``what`` if it does not come in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not in {PATIENCE:g} s: {what}"
        time.sleep(0.002)


class PlainStore(Store):
    """A store of a third party that brings the abstract methods and nothing else, watched."""

    def __init__(self, server: MemoryServer) -> None:
        super().__init__(PATIENCE)
        self._store = MemoryStore(server)
        self.calls: list[tuple[str, str]] = []
        self.clones: list[PlainStore] = []
        self._server = server
        self._before: dict[tuple[str, str], Callable[[], object]] = {}
        self._lost: set[tuple[str, str]] = set()

    def before(self, method: str, key: str, action: Callable[[], object]) -> None:
        """Run ``action`` once, right before the next such call; ``key`` is the end of a key."""
        self._before[method, key] = action

    def lose_reply(self, method: str, key: str) -> None:
        """Let the next such call take effect, and fail."""
        self._lost.add((method, key))

    def _pass(self, method: str, keys: Sequence[str], *arguments: Any) -> Any:
        key = ",".join(keys)
        self.calls.append((method, key))
        for place in [place for place in self._before if place[0] == method and key.endswith(place[1])]:
            self._before.pop(place)()
        result = getattr(self._store, method)(*arguments)
        for place in [place for place in self._lost if place[0] == method and key.endswith(place[1])]:
            self._lost.remove(place)
            raise RendezvousConnectionError("The reply was lost.")
        return result

    def set(self, key: str, value: Value) -> None:
        self._pass("set", [key], key, value)

    def get(self, key: str) -> bytes:
        return bytes(self._pass("get", [key], key))

    def add(self, key: str, amount: int) -> int:
        return int(self._pass("add", [key], key, amount))

    def append(self, key: str, value: Value) -> None:
        self._pass("append", [key], key, value)

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        return bytes(self._pass("compare_set", [key], key, expected_value, desired_value))

    def check(self, keys: Sequence[str]) -> bool:
        return bool(self._pass("check", keys, keys))

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        self._pass("wait", keys, keys, self.timeout if timeout is None else timeout)

    def delete_key(self, key: str) -> bool:
        return bool(self._pass("delete_key", [key], key))

    def num_keys(self) -> int:
        return int(self._pass("num_keys", []))

    def list_keys(self) -> list[str]:
        return list(self._pass("list_keys", []))

    def clone(self) -> "PlainStore":
        self.clones.append(PlainStore(self._server))
        return self.clones[-1]


class Register(RendezvousBackend):
    """No more than a register, as a third party may write one."""

    def __init__(self, server: MemoryServer, conflict: str = "present") -> None:
        self._backend = MemoryBackend(server, "register")
        self._conflict = conflict
        self._first: tuple[bytes, Token] | None = None
        self.lost_replies = 0
        self.before_write: Callable[[], object] | None = None

    @property
    def name(self) -> str:
        return "register"

    def get_state(self) -> tuple[bytes, Token] | None:
        found = self._backend.get_state()
        self._first = self._first or found
        return found

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        action, self.before_write = self.before_write, None
        if action:
            action()
        standing = self._backend.set_state(state, token)
        if self.lost_replies:
            self.lost_replies -= 1
            raise RendezvousConnectionError("The reply was lost.")
        if standing is None or standing[2] or self._conflict == "present":
            return standing
        return None if self._conflict == "none" or self._first is None else (*self._first, False)

    def close(self) -> None:
        self._backend.close()
