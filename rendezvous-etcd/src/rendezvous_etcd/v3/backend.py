"""The backend: a fenced register, a table of members on leases, and one stream of watches."""

import hashlib
import secrets
import time
import weakref
from dataclasses import dataclass, field
from typing import Any

from pyetcd import etcdrpc as rpc

from rendezvous_core import Members, MembershipBackend, RendezvousConnectionError, RendezvousStateError, Token
from rendezvous_etcd.options import run_path
from rendezvous_etcd.v3.client import Etcd3Client, get, holds, prefix_end, put, unchanged
from rendezvous_etcd.v3.errors import LeaseNotFoundError
from rendezvous_etcd.v3.lease import Lease
from rendezvous_etcd.v3.watch import KeyRange, WatchEndedError, Watcher

DEFAULT_TTL = 2 * 60 * 60
DEFAULT_MEMBER_TTL = 60


@dataclass(frozen=True)
class StateToken:
    """Stands for one write of the state."""

    nonce: bytes
    """Revisions may be issued again by a server that lost its data; this never is."""
    revision: int = field(compare=False)
    """The revision of the cluster at which the write was seen to stand."""


class Etcd3RendezvousBackend(MembershipBackend):
    """Keeps one run in a cluster, under ``<key_prefix>/<run_id, percent-encoded>``.

    The keys of a run:

    - ``state``, and ``token``, the nonce of its latest write; both are written in one transaction.
    - ``members/<node>``: the record of a node, on a lease that only the node keeps alive.
    - ``wake``: written along with each record that is announced.
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
        for name, value in (("ttl", ttl), ("member_ttl", member_ttl)):
            if value is not None and value < 1:
                raise ValueError(f"The {name} ({value}) must be at least one second.")
        self._client = client
        self._path = f"{run_path(key_prefix, run_id)}/".encode()
        # Named so that one range holds state and token, another one token and wake.
        self._state, self._token, self._wake = (self._path + name for name in (b"state", b"token", b"wake"))
        self._run_lease = Lease(client, _lease_id(self._path), ttl or DEFAULT_TTL)
        self._member_lease = Lease(client, secrets.randbits(62) + 1, member_ttl or DEFAULT_MEMBER_TTL)
        self._watcher = Watcher(client)
        self._put_at: dict[str, int] = {}
        # A backend that was dropped must not leave its thread and its connection behind.
        weakref.finalize(self, client.close).atexit = False

    @property
    def name(self) -> str:
        """See base class."""
        return "etcd-v3"

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

    def keep(self) -> None:
        """Keep the run's data, and this node's record, from expiring."""
        self._member_lease.keep()
        self._run_lease.keep()

    def get_state(self) -> tuple[bytes, Token] | None:
        """See base class."""
        return self._read()[0]

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        """See base class. A write of which only the reply was lost is recognised as done."""
        if not isinstance(token, StateToken | None):
            found = self.get_state()
            return found and (*found, False)
        nonce, lease = secrets.token_bytes(12), self._run_lease.id
        compare = (
            [unchanged(self._state, 0), unchanged(self._token, 0)] if token is None else [holds(self._token, token.nonce)]
        )
        answer = self._transact(
            rpc.TxnRequest(
                compare=compare,
                success=[put(self._state, state, lease), put(self._token, nonce, lease)],
                failure=[get(self._state, self._token + b"\0")],
            )
        )
        if answer.succeeded:
            return state, StateToken(nonce, answer.header.revision), True
        standing = self._register(answer.responses[0].response_range.kvs, answer.header.revision)
        return standing and (*standing, standing[1].nonce == nonce)

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        """See base class. A put that arrives late, after a newer one, has no effect."""
        self.keep()
        key = self._member(node)
        value = secrets.token_bytes(4) + record
        writes = [put(key, value, self._member_lease.id)]
        if announce:
            writes.append(put(self._wake, b"", self._run_lease.id))
        while True:
            answer = self._transact(
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
        """See base class."""
        self._client.call("DeleteRange", rpc.DeleteRangeRequest(key=self._member(node)))

    def members(self) -> Members:
        """See base class."""
        start = self._member("")
        answer = self._client.call("Range", rpc.RangeRequest(key=start, range_end=prefix_end(start)))
        records = {each.key[len(start) :].decode(): each.value[4:] for each in answer.kvs}
        return Members(records, answer.header.revision)

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        """See base class."""
        deadline = time.monotonic() + timeout
        if isinstance(token, StateToken):
            revision = token.revision
        else:
            found, revision = self._read()
            if (found and found[1]) != token:
                return True
        since = {self._token: revision}
        if members is not None:
            since[self._wake] = members
        watched = KeyRange(self._token, self._wake + b"\0" if members is not None else b"")
        with self._watcher.watch([watched], min(since.values())) as watch:
            try:
                while events := watch.next(deadline - time.monotonic()):
                    if any(each.key in since and each.revision > since[each.key] for each in events):
                        return True
            except WatchEndedError as error:
                if not error.begun:
                    raise
                return True
        return False

    def close(self) -> None:
        """See base class. Ends every wait that is under way."""
        self._client.close()

    def _read(self) -> tuple[tuple[bytes, StateToken] | None, int]:
        answer = self._client.call("Range", rpc.RangeRequest(key=self._state, range_end=self._token + b"\0"))
        return self._register(answer.kvs, answer.header.revision), answer.header.revision

    def _register(self, found: Any, revision: int) -> tuple[bytes, StateToken] | None:
        values = {each.key: each.value for each in found}
        if not values:
            return None
        try:
            return values[self._state], StateToken(values[self._token], revision)
        except KeyError as error:
            raise RendezvousStateError(
                f"etcd holds only a part of the state: the key {error} is missing. Delete the keys that start "
                f"with {self._path.decode()}, or choose another run id."
            ) from None

    def _transact(self, request: rpc.TxnRequest) -> Any:
        for _ in range(3):
            try:
                return self._client.call("Txn", request)
            except LeaseNotFoundError:
                self._member_lease.grant()
                self._run_lease.grant()
        raise RendezvousConnectionError(
            f"The leases of this node end as soon as they are granted by etcd at {self._client.connection}."
        )

    def _member(self, node: str) -> bytes:
        return self._path + b"members/" + node.encode()


def _lease_id(path: bytes) -> int:
    """The same for all who know the path."""
    return int.from_bytes(hashlib.sha256(path).digest()[:8], "big") >> 2 or 1
