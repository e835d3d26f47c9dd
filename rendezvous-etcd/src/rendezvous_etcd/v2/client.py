"""Calls of python-etcd with a deadline, several members, and rendezvous errors."""

import http.client
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import etcd
import urllib3.exceptions

from rendezvous_core import RendezvousConnectionError, RendezvousError, ServerFacts
from rendezvous_etcd.attempts import Patience
from rendezvous_etcd.errors import HANGS_UP, advise_on_tls
from rendezvous_etcd.facts import PATH, read_facts
from rendezvous_etcd.options import Connection
from rendezvous_etcd.v2.errors import advice_on, explain
from rendezvous_etcd.v2.pool import POOLS

# It reports each failed attempt as an error, also those that are made again.
logging.getLogger("etcd.client").setLevel(logging.CRITICAL)

T = TypeVar("T")

ANSWERS = (
    etcd.EtcdKeyNotFound,
    etcd.EtcdCompareFailed,
    etcd.EtcdAlreadyExist,
    etcd.EtcdWatchTimedOut,
    etcd.EtcdEventIndexCleared,
)
"""What python-etcd raises although nothing has failed."""

_FAILURES = (etcd.EtcdException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
_UNSENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ClosedPoolError,
)
_POOL = 64
_NO_TIMEOUT = 60.0


class EtcdCalls:
    """Makes calls through one or several python-etcd clients, of which each knows one member.

    python-etcd repeats requests whose answer it did not get, and lets the caller believe that they
    were made once; that is turned off in the clients given here.
    """

    def __init__(self, clients: Sequence[etcd.Client], patience: float) -> None:
        self._clients = list(clients)
        self._turn = 0
        self.patience = Patience(patience, len(self._clients))
        self._closed = threading.Event()
        self._pid = os.getpid()
        for client in self._clients:
            client.http.clear()  # what there is has been set up otherwise
            client.http.connection_pool_kw["retries"] = False
            client.http.pool_classes_by_scheme = POOLS
            client._allow_reconnect = False

    @classmethod
    def of(cls, client: etcd.Client) -> "EtcdCalls":
        """Make calls through a client that somebody else has created."""
        return cls([client], float(client.read_timeout or _NO_TIMEOUT))

    @classmethod
    def from_connection(cls, connection: Connection) -> "EtcdCalls":
        """Create the clients that ``connection`` calls for. Nothing is sent yet."""
        attempt = Patience(connection.read_timeout, len(connection.endpoints)).attempt
        certificate = connection.ssl_cert
        clients = [
            etcd.Client(
                f"[{host}]" if ":" in host else host,
                port,
                read_timeout=attempt,
                protocol="https" if connection.secure else "http",
                cert=(certificate, connection.ssl_cert_key) if connection.ssl_cert_key else certificate,
                ca_cert=connection.ca_cert,
                username=connection.user,
                password=connection.password,
                per_host_pool_size=_POOL,
            )
            for host, port in connection.endpoints
        ]
        return cls(clients, connection.read_timeout)

    @property
    def client(self) -> etcd.Client:
        """The client of the member that is in use."""
        return self._clients[self._turn % len(self._clients)]

    @property
    def hosts(self) -> list[str]:
        """Where the members are."""
        return [client.host.strip("[]") for client in self._clients]

    def server_facts(self) -> ServerFacts:
        """Ask the member that is in use for its version and its clock.

        Raises:
            RendezvousConnectionError: it does not tell.
        """
        client = self.client
        try:
            asked = client.http.request("GET", f"{client.base_uri}{PATH}", timeout=client.read_timeout)
            return read_facts(asked.data, asked.headers.get("Date"), "python-etcd")
        except (*_FAILURES, ValueError) as error:
            raise RendezvousConnectionError(f"The etcd member does not tell its version: {error}") from error

    def read(self, key: str, **options: Any) -> Any:
        """Read a key or a directory, as it stands in the cluster and not only on one member.

        Raises:
            etcd.EtcdKeyNotFound: there is none.
            RendezvousConnectionError: no member answered in time, or the request was refused.
            RendezvousStateError: the path holds something of another kind.
        """
        return self._call(lambda client: client.read(key, quorum=True, **options), safe=True)

    def write(self, key: str, value: str | None, *, safe: bool = False, **options: Any) -> Any:
        """Write a key or a directory; ``safe`` to do it again when in doubt. Raises as `read`, and:

        Raises:
            etcd.EtcdCompareFailed: a condition does not hold.
            etcd.EtcdAlreadyExist: the key must not exist, but does.
            UncertainError: it may have been carried out.
        """
        return self._call(lambda client: client.write(key, value, **options), safe)

    def delete(self, key: str, *, safe: bool = False, **options: Any) -> Any:
        """Delete a key or a directory; see `write`."""
        return self._call(lambda client: client.delete(key, **options), safe)

    def watch(self, key: str, after: int, timeout: float, recursive: bool = False) -> Any:
        """Wait for the next event after the index ``after``; makes one attempt.

        Raises:
            etcd.EtcdWatchTimedOut: nothing has happened.
            etcd.EtcdEventIndexCleared: too much has happened; read instead.
            RendezvousConnectionError: the connection was lost.
        """
        client = self._live()
        try:
            return client.watch(key, index=after + 1, timeout=max(timeout, 0.001), recursive=recursive)
        except ANSWERS:
            raise
        except _FAILURES as error:
            self._leave(client)
            raise explain(error, advice_on(error), client, self.patience.seconds) from error

    def rest(self, seconds: float) -> None:
        """Do nothing for a time, or until `close`."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Make no more calls; idle connections are closed. May be called twice."""
        self._closed.set()
        if os.getpid() == self._pid:
            for client in self._clients:
                client.http.clear()

    def _call(self, function: Callable[[etcd.Client], T], safe: bool) -> T:
        attempts = self.patience.begin()
        while True:
            client = self._live()
            try:
                return function(client)
            except ANSWERS:
                raise
            except _FAILURES as error:
                advice = advice_on(error)
                if advice is HANGS_UP and self.patience.is_connecting:
                    advice = advise_on_tls(client.host.strip("[]"), client.port, client.protocol == "https")
                doubtful = not (safe or advice.ends != "nothing" or _is_unsent(error))
                told = explain(error, advice, client, attempts.patience, doubtful)
                if advice.ends == "call" or doubtful:
                    raise told from error
                self._leave(client)
                pause = attempts.after(client, advice.ends == "member", told)
                if pause is None:
                    raise told from error
                self.rest(pause)

    def _live(self) -> etcd.Client:
        if os.getpid() != self._pid:
            raise RendezvousError(
                "This etcd client belongs to the process that created it; a forked child must create its own."
            )
        client = self.client
        if self._closed.is_set():
            raise RendezvousConnectionError(f"This client of etcd at {client.base_uri} was closed.")
        return client

    def _leave(self, client: etcd.Client) -> None:
        """Go on to the next member. What else idles between here and this one is not trusted either."""
        client.http.clear()
        if client is self.client:
            self._turn += 1


def index_of(error: etcd.EtcdKeyNotFound) -> int:
    """The index at which a key was found missing."""
    return int((error.payload or {}).get("index", 0))


def _is_unsent(error: Exception) -> bool:
    """Whether the request has certainly not reached a server."""
    cause: object = getattr(error, "cause", None) or error
    if isinstance(cause, urllib3.exceptions.MaxRetryError):
        cause = cause.reason
    return isinstance(cause, _UNSENT)
