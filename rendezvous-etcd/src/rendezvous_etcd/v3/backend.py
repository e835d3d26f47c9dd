"""The backend: a fenced register, a table of members on leases, and one stream of watches."""

import hashlib
import secrets
import threading
import time
import weakref
from typing import Any, NamedTuple

from pyetcd import etcdrpc as rpc

from rendezvous_core import (
    Members,
    MembershipBackend,
    RendezvousConnectionError,
    ServerFacts,
    Token,
)
from rendezvous_etcd.facts import ask_for_facts
from rendezvous_etcd.options import DEFAULT_MEMBER_TTL, DEFAULT_TTL, check_lifetime, run_path
from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.errors import LeaseNotFoundError
from rendezvous_etcd.v3.lease import Lease
from rendezvous_etcd.v3.operations import delete, get, prefix_end, put, unchanged
from rendezvous_etcd.v3.permissions import check_permissions
from rendezvous_etcd.v3.register import NONCE, Register, Sight, StateToken
from rendezvous_etcd.v3.watch import KeyRange, Watch, WatchEndedError
from rendezvous_etcd.v3.watcher import Watcher

_PAUSE = 0.01
_KEPT = (b"state", b"token", b"wake", b"who/any", b"kv/any", b"receipts/any")


class MembersToken(NamedTuple):
    """Stands for the announcements that a listing contains."""

    nonce: bytes | None
    """Of the latest one."""
    seen: Sight


class Etcd3RendezvousBackend(MembershipBackend):
    """Keeps one run in a cluster, under ``<key_prefix>/<run_id, percent-encoded>``.

    The keys of a run:

    - ``state``, and ``token``, the nonce of its latest write; both are written in one transaction.
    - ``wake``: written along with each record that is announced.
    - ``who/<node>``: the record of a node, on a lease that only the node keeps alive.
    - ``kv/`` and ``receipts/``: the run's store, see `Etcd3Store`.

    All but the records hang on one lease, which every heartbeat of every node keeps alive.

    Args:
        client: the client; this backend closes it.
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
        client: Etcd3Client,
        run_id: str,
        key_prefix: str | None = None,
        ttl: int | None = None,
        member_ttl: int | None = None,
    ) -> None:
        check_lifetime("ttl", ttl)
        check_lifetime("member_ttl", member_ttl)
        self._client = client
        self._path = f"{run_path(key_prefix, run_id)}/".encode()
        # Named so that one range holds state and token, others these and wake, or wake and records.
        self._wake = self._path + b"wake"
        self._run_lease = Lease(client, _lease_id(self._path), ttl or DEFAULT_TTL, is_shared=True)
        self._member_lease = Lease(client, secrets.randbits(62) + 1, member_ttl or DEFAULT_MEMBER_TTL)
        self._register = Register(client, self._path, self._run_lease.id)
        self._token = self._register.token
        self._watcher = Watcher(client)
        self._lock = threading.Lock()
        self._watch: Watch | None = None
        self._watches_bell = False
        self._put_at: dict[str, int] = {}
        # A backend that was dropped must not leave its thread and its connection behind.
        weakref.finalize(self, client.close).atexit = False

    @property
    def name(self) -> str:
        """See base class."""
        return "etcd-v3"

    @property
    def hosts(self) -> list[str]:
        """See base class."""
        return [endpoint.host for endpoint in self._client.connection.endpoints]

    def server_facts(self) -> ServerFacts | None:
        """See base class. The gRPC interface tells no time, the port's other one does."""
        return ask_for_facts(self._client.connection, "etcd-sdk-python")

    @property
    def client(self) -> Etcd3Client:
        """The client that was given."""
        return self._client

    @property
    def watcher(self) -> Watcher:
        """The watches of this backend, to be shared by its store."""
        return self._watcher

    @property
    def lease(self) -> Lease:
        """The lease of the run, to be shared by its store."""
        return self._run_lease

    @property
    def path(self) -> bytes:
        """What all keys of the run start with."""
        return self._path

    def connect(self) -> None:
        """Make ready for what is to come, so that it takes fewer steps; need not be called.

        Raises:
            RendezvousConnectionError: the cluster cannot be reached.
            RendezvousStateError: it does not let this user read and write.
        """
        check_permissions(self._client, self._path, _KEPT)
        self._keep()
        deadline = time.monotonic() + self._client.connection.read_timeout
        while True:
            try:
                self._watch_run(with_announcements=False).wait_until_begun(deadline - time.monotonic())
            except WatchEndedError:
                if time.monotonic() > deadline:
                    raise
                self._client.rest(_PAUSE)
            else:
                return

    def get_state(self) -> tuple[bytes, Token] | None:
        """See base class."""
        return self._register.read(self._live_watch)

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        """See base class. A write of which only the reply was lost is recognised as done."""
        if not isinstance(token, StateToken | None):
            found = self.get_state()
            return found and (*found, False)
        return self._register.write(state, token, self._live_watch, self._transact)

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        """See base class. A put that arrives late, after a newer one, has no effect."""
        self._keep()
        key = self._member(node)
        value = secrets.token_bytes(NONCE) + record
        writes = [put(key, value, self._member_lease.id)]
        if announce:
            writes.append(put(self._wake, value[:NONCE], self._run_lease.id))
        while True:
            answer, _ = self._transact(
                rpc.TxnRequest(
                    compare=[unchanged(key, self._put_at.get(node, 0))], success=writes, failure=[get(key)]
                )
            )
            if answer.succeeded:
                self._put_at[node] = answer.header.revision
                return
            standing = answer.responses[0].response_range.kvs
            self._put_at[node] = standing[0].mod_revision if standing else 0
            if standing and standing[0].value == value:
                return  # it was the reply to the first attempt that got lost

    def remove_member(self, node: str) -> None:
        """See base class. A removal that arrives late, after a newer put, has no effect."""
        key = self._member(node)
        while True:
            standing = self._client.call("Range", rpc.RangeRequest(key=key)).kvs
            if not standing:
                return
            condition = unchanged(key, standing[0].mod_revision)
            if self._client.transact(rpc.TxnRequest(compare=[condition], success=[delete(key)]))[0].succeeded:
                return

    def members(self) -> Members:
        """See base class."""
        start, watch = self._member(""), self._live_watch
        answer = self._client.call("Range", rpc.RangeRequest(key=self._wake, range_end=prefix_end(start)))
        bell = [each for each in answer.kvs if each.key == self._wake]
        records = {
            each.key[len(start) :].decode(errors="backslashreplace"): each.value[NONCE:]
            for each in answer.kvs
            if each.key.startswith(start)
        }
        nonce = bell[0].value if bell else None
        return Members(records, MembersToken(nonce, Sight(answer.header.revision, watch)))

    def wait_for_change(
        self, token: Token | None, timeout: float, members: Token | None = None
    ) -> bool | tuple[bytes, Token]:
        """See base class. Looks at the server only where its watch may have missed something."""
        deadline = time.monotonic() + timeout
        lasted, watch = self._watcher.lasts, self._watch_run(members is not None)
        try:
            if not watch.wait_until_begun(timeout) and timeout > 0:
                return False
        except WatchEndedError:
            if watch is self._watch:
                raise
            return True  # another wait has replaced it by one that watches more
        since = self._since(watch, token, members)
        if since is None:
            return True

        def is_new(key: bytes) -> bool:
            return watch.changes.get(key, 0) > since[key]

        try:
            if not watch.wait(lambda: any(map(is_new, since)), deadline - time.monotonic()):
                return False
            return (self._register.told(watch) if is_new(self._token) else None) or True
        except WatchEndedError:
            if lasted == self._watcher.lasts:
                return True
            # It was found out that this server lets none last. The next one is of another kind.
            return self.wait_for_change(token, deadline - time.monotonic(), members)

    def close(self) -> None:
        """See base class. Ends every wait that is under way."""
        self._client.close()

    def _watch_run(self, with_announcements: bool) -> Watch:
        """The watch of the state, and where asked also of announcements, which come far more often."""
        with self._lock:
            if (
                self._watch is None
                or self._watch.has_ended
                or (with_announcements and not self._watches_bell)
            ):
                former = self._watch
                last = self._wake if with_announcements else self._token
                watched = KeyRange(self._register.state, last + b"\0")
                kept = {self._register.state, self._token}
                self._watch = self._watcher.open_lasting(watched, kept)
                self._watches_bell = with_announcements
                if former is not None:
                    self._watcher.close(former)  # whoever waits for it sees by then that it was replaced
            return self._watch

    @property
    def _live_watch(self) -> Watch | None:
        watch = self._watch
        return watch if watch is not None and watch.begun else None

    def _since(self, watch: Watch, token: Token | None, members: Token | None) -> dict[bytes, int] | None:
        """The revisions after which a change counts, by key; ``None`` where there was a change already."""
        if not isinstance(token, StateToken | None) or not isinstance(members, MembersToken | None):
            return None
        if (
            token is not None
            and token.seen.watch is watch
            and (members is None or members.seen.watch is watch)
        ):
            since = {self._token: token.seen.revision}
            return since if members is None else {**since, self._wake: members.seen.revision}
        answer = self._client.call("Range", rpc.RangeRequest(key=self._token, range_end=self._wake + b"\0"))
        present = {each.key: each.value for each in answer.kvs}
        expected = {self._token: token and token.nonce}
        if members is not None:
            expected[self._wake] = members.nonce
        if any(present.get(key) != nonce for key, nonce in expected.items()):
            return None
        return dict.fromkeys(expected, answer.header.revision)

    def _transact(self, request: rpc.TxnRequest) -> tuple[Any, bool]:
        for _ in range(3):
            try:
                return self._client.transact(request)
            except LeaseNotFoundError:
                self._member_lease.grant()
                self._run_lease.grant()
        raise RendezvousConnectionError(
            f"The leases of this node end as soon as they are granted by etcd at {self._client.connection}."
        )

    def _keep(self) -> None:
        """Keep the run's data, and this node's record, from expiring."""
        self._member_lease.keep()
        self._run_lease.keep()

    def _member(self, node: str) -> bytes:
        return self._path + b"who/" + node.encode()


def _lease_id(path: bytes) -> int:
    """The same for all who know the path."""
    return int.from_bytes(hashlib.sha256(path).digest()[:8], "big") >> 2 or 1
