"""The register: a state that changes only by compare-and-set, and knows its own writes."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pyetcd import etcdrpc as rpc

from rendezvous_core import RendezvousConnectionError, RendezvousStateError
from rendezvous_etcd.errors import UncertainError
from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.operations import get, holds, put, unchanged
from rendezvous_etcd.v3.watch import Watch

NONCE = 8

Transact = Callable[[rpc.TxnRequest], tuple[Any, bool]]
"""`Etcd3Client.transact`, or what sees to it that leases are there."""


class Sight(NamedTuple):
    """When something was read."""

    revision: int
    """The revision of the cluster."""
    watch: Watch | None
    """The watch that tells of all that happened since, if there was one."""


@dataclass(frozen=True)
class StateToken:
    """Stands for one write of the state."""

    nonce: bytes
    """Revisions may be issued again by a server that lost its data; this never is."""
    seen: Sight = field(compare=False)


class Register:
    """The keys ``<path>state`` and ``<path>token``, the nonce of its latest write."""

    def __init__(self, client: Etcd3Client, path: bytes, lease: int) -> None:
        self.path = path
        self.state, self.token = path + b"state", path + b"token"
        self._client, self._lease = client, lease

    def read(self, watch: Watch | None) -> tuple[bytes, StateToken] | None:
        """Return the state, and its token as seen along with ``watch``.

        Ends a watch that has told of later revisions: the cluster has lost them, and it would tell of none.
        """
        told = 0 if watch is None else watch.revision
        answer = self._client.call("Range", rpc.RangeRequest(key=self.state, range_end=self.token + b"\0"))
        if watch is not None and answer.header.revision < told:
            watch.end("the cluster has lost what it has told of")
        return self._decode(answer.kvs, Sight(answer.header.revision, watch))

    def told(self, watch: Watch) -> tuple[bytes, StateToken] | None:
        """Return the state that ``watch`` was told of last; ``None`` where that was not the whole of it."""
        latest = watch.latest()
        if latest is None:
            return None
        revision, values = latest
        return values[self.state], StateToken(values[self.token], Sight(revision, watch))

    def write(
        self, state: bytes, former: StateToken | None, watch: Watch | None, transact: Transact
    ) -> tuple[bytes, StateToken, bool] | None:
        """See `RendezvousBackend.set_state`."""
        nonce = secrets.token_bytes(NONCE)
        compare = (
            [unchanged(self.state, 0), unchanged(self.token, 0)]
            if former is None
            else [holds(self.token, former.nonce)]
        )
        answer, doubtful = transact(
            rpc.TxnRequest(
                compare=compare,
                success=[put(self.state, state, self._lease), put(self.token, nonce, self._lease)],
                failure=[get(self.state, self.token + b"\0")],
            )
        )
        seen = Sight(answer.header.revision, watch)
        if answer.succeeded:
            return state, StateToken(nonce, seen), True
        found = answer.responses[0].response_range.kvs
        standing = self._decode(found, seen)
        if standing and standing[1].nonce == nonce:
            return *standing, True
        if doubtful and self._stood(nonce, former, found):
            return state, StateToken(nonce, Sight(0, None)), True
        return standing and (*standing, False)

    def _decode(self, found: Any, seen: Sight) -> tuple[bytes, StateToken] | None:
        values = {each.key: each.value for each in found}
        if not values:
            return None
        try:
            return values[self.state], StateToken(values[self.token], seen)
        except KeyError as error:
            raise RendezvousStateError(
                f"etcd holds only a part of the state: the key {error} is missing. Delete all keys below "
                f"{self.path.decode()}, or choose another run id."
            ) from None

    def _stood(self, nonce: bytes, former: StateToken | None, standing: Any) -> bool:
        """Whether a write on top of ``former`` once stood, though others have written since.

        Raises:
            UncertainError: it cannot be told.
        """
        doubt = UncertainError(
            f"etcd at {self._client.connection} did not answer to a write of the state: whether it was "
            "carried out, or will be, is unknown."
        )
        revision = next((each.mod_revision for each in standing if each.key == self.token), 0)
        while revision > 1:
            before = rpc.RangeRequest(key=self.token, revision=revision - 1)
            try:
                found = self._client.call("Range", before).kvs
            except RendezvousConnectionError as error:  # it may have been compacted
                raise doubt from error
            if not found:
                break
            if found[0].value == nonce:
                return True
            if former is not None and found[0].value == former.nonce:
                return False
            revision = found[0].mod_revision
        raise doubt
