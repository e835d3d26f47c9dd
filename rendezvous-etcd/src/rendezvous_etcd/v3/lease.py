"""Leases: data that nobody cares for any more goes away."""

import threading
import time

from pyetcd import etcdrpc as rpc

from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.errors import LeaseExistsError


class Lease:
    """A lease of a known id, so that those who share it need not tell each other.

    A write that finds it expired raises ``LeaseNotFoundError``: grant it then, and write again.
    """

    def __init__(self, client: Etcd3Client, lease_id: int, ttl: int) -> None:
        self.id = lease_id
        self._client = client
        self._ttl = ttl
        self._lock = threading.Lock()
        self._kept_at = float("-inf")

    def grant(self) -> None:
        """Grant the lease, unless it is there."""
        kept_at = time.monotonic()
        try:
            self._client.call("LeaseGrant", rpc.LeaseGrantRequest(ID=self.id, TTL=self._ttl))
        except LeaseExistsError:
            # What is left takes less time to ask for than to renew, most of all through etcd's proxy.
            found = self._client.call("LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=self.id))
            self._ttl = found.grantedTTL or self._ttl
            kept_at -= self._ttl - found.TTL
            if self._is_due(kept_at):
                self._keep_alive()
                kept_at = time.monotonic()
        self._kept_at = kept_at

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

    def _keep_alive(self) -> bool:
        answer = self._client.call("LeaseKeepAlive", rpc.LeaseKeepAliveRequest(ID=self.id))
        return bool(answer.TTL > 0)
