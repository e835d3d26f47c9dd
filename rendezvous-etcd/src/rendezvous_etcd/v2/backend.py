"""The backend: a fenced register, and a key with a time to live for each member."""

import time
from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import etcd

from rendezvous_core import Members, MembershipBackend, RendezvousStateError, ServerFacts, Token
from rendezvous_etcd.options import (
    DEFAULT_MEMBER_TTL,
    DEFAULT_TTL,
    check_lifetime,
    path_segment,
    run_path,
    segment_text,
)
from rendezvous_etcd.v2.client import EtcdCalls, index_of
from rendezvous_etcd.v2.swap import check_may_write, delete, look, swap, unchanged

_SLICE = 5.0


@dataclass(frozen=True)
class StateToken:
    """Stands for one write of the state."""

    value: str
    """What was written. The modified index would not do: to renew the time to live changes it."""
    seen: int = field(compare=False)
    """The index of the cluster at which the write was seen to stand."""


class EtcdRendezvousBackend(MembershipBackend):
    """Keeps one run under ``<key_prefix>/<run_id>``, characters other than ``A-Za-z0-9_~-`` encoded.

    The keys of a run, each with a time to live that heartbeats renew (etcd cannot renew that of a
    directory):

    - ``signals/state``: a nonce and the state.
    - ``signals/bell``: written after each record that is announced.
    - ``members/<node>``: the record of a node, with a time to live of its own.
    - ``kv/``: the run's store, see `EtcdStore`.

    Args:
        client: a python-etcd client, or `EtcdCalls`.
        run_id: the run; runs in one cluster know nothing of each other.
        key_prefix: where the runs are; ``/rendezvous`` by default.
        ttl: seconds for which a run outlives the last heartbeat of its last node; two hours by default.
        member_ttl: seconds after which the record of a node that writes none goes; 60 by default.
            The protocol finds dead nodes on its own: this only tidies up.

    Raises:
        ValueError: an empty run id, or a time to live below one second.
    """

    def __init__(
        self,
        client: etcd.Client | EtcdCalls,
        run_id: str,
        key_prefix: str | None = None,
        ttl: int | None = None,
        member_ttl: int | None = None,
    ) -> None:
        check_lifetime("ttl", ttl)
        check_lifetime("member_ttl", member_ttl)
        self._calls = client if isinstance(client, EtcdCalls) else EtcdCalls.of(client)
        self._path = run_path(key_prefix, run_id)
        self._signals, self._members = f"{self._path}/signals", f"{self._path}/members"
        self._state, self._bell = f"{self._signals}/state", f"{self._signals}/bell"
        self._ttl = ttl or DEFAULT_TTL
        self._member_ttl = member_ttl or DEFAULT_MEMBER_TTL
        self._kept_at = float("-inf")
        self._put: dict[str, tuple[Any, int]] = {}
        """The records of this backend's nodes: the node in etcd, and when it was seen."""

    @property
    def name(self) -> str:
        """See base class."""
        return "etcd-v2"

    @property
    def calls(self) -> EtcdCalls:
        """The client, to be shared by the run's store."""
        return self._calls

    @property
    def path(self) -> str:
        """The directory of the run."""
        return self._path

    @property
    def ttl(self) -> int:
        """The time to live of the run's data, in seconds."""
        return self._ttl

    def connect(self) -> None:
        """Make ready for what is to come, so that it takes fewer steps; need not be called.

        Raises:
            RendezvousConnectionError: the cluster cannot be reached, or has no v2 API.
            RendezvousStateError: it does not let this user read and write.
        """
        self._keep()
        check_may_write(self._calls, self._state)

    @property
    def hosts(self) -> list[str]:
        """See base class."""
        return self._calls.hosts

    def server_facts(self) -> ServerFacts:
        """See base class."""
        return self._calls.server_facts()

    def get_state(self) -> tuple[bytes, Token] | None:
        """See base class."""
        return self._read()[0]

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        """See base class. A write of which only the reply was lost is recognised as done."""
        if not isinstance(token, StateToken | None):
            found = self.get_state()
            return found and (*found, False)
        condition = {"prevExist": False} if token is None else {"prevValue": token.value}
        # No value comes twice.
        value = f"{token_hex(8)}.{b64encode(state).decode()}"
        written = swap(
            self._calls, self._state, value, condition, None if token is None else token.seen, self._ttl
        )
        if written:
            return state, StateToken(value, written.modifiedIndex), True
        standing = self.get_state()
        return standing and (*standing, False)

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        """See base class. A put that arrives late, after a newer one, has no effect."""
        self._keep()
        key, value, known = self._member(node), b64encode(record).decode(), node in self._put
        while True:
            if not known:
                self._put[node] = look(self._calls, key)
            former, seen = self._put[node]
            written = swap(self._calls, key, value, unchanged(former), seen, self._member_ttl)
            if written:
                self._put[node] = written, written.modifiedIndex
                break
            known = False
        if announce:
            self._calls.write(self._bell, token_hex(4), safe=True, ttl=self._ttl)

    def remove_member(self, node: str) -> None:
        """See base class."""
        delete(self._calls, self._member(node))

    def members(self) -> Members:
        """See base class. A record that is damaged is left out."""
        try:
            listed = self._calls.read(self._members, recursive=True)
        except etcd.EtcdKeyNotFound as error:
            return Members({}, index_of(error))
        records = {}
        for each in listed.leaves:
            name = each.key.rpartition("/")[2]
            with suppress(ValueError):
                if not each.dir:
                    records[segment_text(name[1:])] = b64decode(each.value, validate=True)
        return Members(records, listed.etcd_index)

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        """See base class."""
        deadline = time.monotonic() + timeout
        since = {self._state: token.seen if isinstance(token, StateToken) else 0}
        if not isinstance(token, StateToken) or timeout <= 0:
            found, since[self._state] = self._read()
            if (found and found[1]) != token:
                return True
        if members is not None:
            since[self._bell] = members
        watched = self._state if members is None else self._signals
        index = min(since.values())
        while (left := deadline - time.monotonic()) > 0:
            try:
                event = self._calls.watch(watched, index, min(left, _SLICE), recursive=members is not None)
            except etcd.EtcdWatchTimedOut:
                continue
            except etcd.EtcdEventIndexCleared:
                return True
            if event.modifiedIndex > since.get(event.key, 0):
                return True
            index = event.modifiedIndex
        return False

    def close(self) -> None:
        """See base class. A wait under way ends within five seconds."""
        self._calls.close()

    def _read(self) -> tuple[tuple[bytes, StateToken] | None, int]:
        """Return the state, and the index at which that was so."""
        try:
            found = self._calls.read(self._state)
        except etcd.EtcdKeyNotFound as error:
            return None, index_of(error)
        try:
            state = b64decode(found.value.partition(".")[2], validate=True)
            if "." not in found.value:
                raise ValueError("it has no nonce")
        except (ValueError, AttributeError) as error:
            raise RendezvousStateError(
                f"The key {self._state} of etcd holds no state of this library: {found.value!r:.80}. Delete "
                "it, or choose another run id or prefix."
            ) from error
        return (state, StateToken(found.value, found.etcd_index)), found.etcd_index

    def _keep(self) -> None:
        """Renew the time to live of the run's data, if a third of it has passed since this node did that."""
        now = time.monotonic()
        if now - self._kept_at <= self._ttl / 3:
            return
        with suppress(etcd.EtcdKeyNotFound):
            for each in self._calls.read(self._path, recursive=True).leaves:
                if each.ttl is None or each.ttl > self._ttl * 2 / 3 or each.key.startswith(self._members):
                    continue
                with suppress(etcd.EtcdKeyNotFound):
                    self._calls.write(each.key, None, safe=True, ttl=self._ttl, refresh=True, prevExist=True)
        self._kept_at = now

    def _member(self, node: str) -> str:
        # Names that start with an underscore would be hidden from listings.
        return f"{self._members}/m{path_segment(node)}"
