"""Counts what nodes ask of their backend, at its port: where there is no server to count."""

import threading
from collections import Counter
from collections.abc import Sequence

from rendezvous_core import Members, MembershipBackend, PrefixStore, Store, Token
from rendezvous_core.ports.store import Value


class CountingBackend(MembershipBackend):
    """Passes everything on, and counts it: calls by name, and bytes of payload."""

    def __init__(self, backend: MembershipBackend, counted: Counter[str]) -> None:
        self._backend, self._counted = backend, counted
        self.lister: int | None = None
        """The thread that has listed the members last."""

    @property
    def name(self) -> str:
        return self._backend.name

    def get_state(self) -> tuple[bytes, Token] | None:
        found = self._backend.get_state()
        self._count(len(found[0]) if found else 0)
        return found

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        self._count(len(state))
        return self._backend.set_state(state, token)

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        self._count(len(record))
        self._backend.put_member(node, record, announce=announce)

    def remove_member(self, node: str) -> None:
        self._count(0)
        self._backend.remove_member(node)

    def members(self) -> Members:
        self.lister = threading.get_ident()
        listed = self._backend.members()
        self._count(sum(map(len, listed.records.values())))
        return listed

    def wait_for_change(
        self, token: Token | None, timeout: float, members: Token | None = None
    ) -> bool | tuple[bytes, Token]:
        self._count(0)
        return self._backend.wait_for_change(token, timeout, members)

    def close(self) -> None:
        self._backend.close()

    def _count(self, size: int) -> None:
        self._counted["requests"] += 1
        self._counted["bytes"] += size


class CountingStore(PrefixStore):
    """Counts as well what is kept of a ledger, under a prefix of its own."""

    def __init__(self, store: Store, counted: Counter[str]) -> None:
        super().__init__("counted", store)
        self._counted = counted

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        self._count(sum(map(len, values)))
        super().multi_set(keys, values)

    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        found = super().peek_all(keys)
        self._count(sum(len(value) for value in found if value))
        return found

    def _count(self, size: int) -> None:
        self._counted["requests"] += 1
        self._counted["bytes"] += size
