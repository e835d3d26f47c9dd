"""Leases: data that nobody cares for any more goes away."""

import threading
import time

from pyetcd import etcdrpc as rpc

from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.errors import LeaseExistsError


class Lease:
    """A lease of a known id, so that those who share it need not tell each other.

    A write that finds it expired raises ``LeaseNotFoundError``: grant it then, and write again.

    Args:
        client: whom to ask.
        lease_id: the id.
        ttl: seconds for which it lasts, unless others have granted it.
        is_shared: whether they may have: to look costs a cluster less than a grant that is refused.
    """

    def __init__(self, client: Etcd3Client, lease_id: int, ttl: int, *, is_shared: bool = False) -> None:
        self.id = lease_id
        self._client = client
        self._ttl = ttl
        self._is_shared = is_shared
        self._lock = threading.Lock()
        self._kept_at = float("-inf")

    def grant(self) -> None:
        """Grant the lease, unless it is there."""
        if self._is_shared and self._is_there():
            return
        granted_at = time.monotonic()
        try:
            self._client.call("LeaseGrant", rpc.LeaseGrantRequest(ID=self.id, TTL=self._ttl))
        except LeaseExistsError:
            self._is_there()
        else:
            self._kept_at = granted_at

    def keep(self) -> None:
        """Start its time anew, if a third of it has run out since this client did that."""
        now = time.monotonic()
        with self._lock:
            due, before = self._is_due(self._kept_at), self._kept_at
            if due:
                self._kept_at = now  # only one thread needs to
        if not due:
            return
        try:
            # Most leases are new when they are used first.
            if before == float("-inf") or not self._keep_alive():
                self.grant()
        except BaseException:
            self._kept_at = before
            raise

    def _is_due(self, kept_at: float) -> bool:
        return time.monotonic() - kept_at > self._ttl / 3

    def _is_there(self) -> bool:
        """Whether the lease is there, and stays."""
        asked_at = time.monotonic()
        found = self._client.call("LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=self.id))
        if not found.grantedTTL:
            return False
        self._ttl, self._kept_at = found.grantedTTL, asked_at - (found.grantedTTL - found.TTL)
        # What is left takes less time to ask for than to renew, most of all through etcd's proxy.
        if self._is_due(self._kept_at):
            if not self._keep_alive():
                return False  # it had run out, and was about to go
            self._kept_at = time.monotonic()
        return True

    def _keep_alive(self) -> bool:
        answer = self._client.call("LeaseKeepAlive", rpc.LeaseKeepAliveRequest(ID=self.id))
        return bool(answer.TTL > 0)
