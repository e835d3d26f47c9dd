"""A client of one etcd cluster: calls that are made again where that is of use."""

import os
import threading
from typing import Any

import grpc
from pyetcd import etcdrpc as rpc

from rendezvous_core import RendezvousConnectionError, RendezvousError
from rendezvous_core.ports.endpoint import parse_endpoints
from rendezvous_etcd.attempts import Patience
from rendezvous_etcd.errors import HANGS_UP, advise_on_tls
from rendezvous_etcd.options import DEFAULT_PORT, DEFAULT_READ_TIMEOUT, Connection
from rendezvous_etcd.v3.channel import Channel, credentials, metadata
from rendezvous_etcd.v3.errors import advice_on, explain, wants_token, was_unsent


class Etcd3Client:
    """A client of one etcd cluster. May be used from several threads.

    A call that fails because its member cannot be reached, has no leader, or does not answer is made
    again over a new connection to the next member, until ``read_timeout`` has run out. Nothing is
    sent before the first call.

    Args:
        endpoint: the members of the cluster, as ``host1:port1,host2:port2``.
        protocol: ``https`` for TLS.
        ca_cert: file of the authority that signed the servers' certificates.
        ssl_cert: file of the client's certificate.
        ssl_cert_key: file of its key.
        user: name of the user.
        password: the user's password.
        read_timeout: seconds within which a call must be answered, all attempts together.

    Raises:
        ValueError: an argument is wrong; names it.
    """

    def __init__(
        self,
        endpoint: str = "",
        protocol: str = "http",
        ca_cert: str | None = None,
        ssl_cert: str | None = None,
        ssl_cert_key: str | None = None,
        user: str | None = None,
        password: str | None = None,
        read_timeout: float = DEFAULT_READ_TIMEOUT,
    ) -> None:
        if protocol not in ("http", "https"):
            raise ValueError(f"The protocol must be http or https, not {protocol!r}.")
        endpoints = tuple(parse_endpoints(endpoint, DEFAULT_PORT))
        self._set_up(
            Connection(
                endpoints, protocol == "https", ca_cert, ssl_cert, ssl_cert_key, user, password, read_timeout
            )
        )

    @classmethod
    def from_connection(cls, connection: Connection) -> "Etcd3Client":
        """Create a client from options that were read already."""
        client = cls.__new__(cls)
        client._set_up(connection)
        return client

    def _set_up(self, connection: Connection) -> None:
        self._connection = connection
        self.patience = Patience(connection.read_timeout, len(connection.endpoints))
        self._credentials = credentials(connection)
        # Reentrant, as a garbage collector may close the client in the midst of anything.
        self._lock = threading.RLock()
        self._turn = 0
        self._channel: Channel | None = None
        self._token: str | None = None
        self._closed = threading.Event()
        self._pid = os.getpid()

    @property
    def connection(self) -> Connection:
        """How this client reaches the cluster."""
        return self._connection

    def call(self, name: str, request: Any) -> Any:
        """Make the call ``name``, which may be carried out twice, and return its answer.

        Raises:
            RendezvousConnectionError: no member answered in time, or the request was refused.
            RendezvousStateError: the user may not do this, or the request is too large.
        """
        return self._repeat(name, request, writes=False)[0]

    def transact(self, request: rpc.TxnRequest) -> tuple[Any, bool]:
        """Make a transaction that writes; return its answer, and whether an earlier attempt got none.

        Raises as `call`; ``UncertainError`` where the transaction may have been carried out.
        """
        return self._repeat("Txn", request, writes=True)

    def _repeat(self, name: str, request: Any, writes: bool) -> tuple[Any, bool]:
        attempts, renewed, doubtful = self.patience.begin(), False, False
        while True:
            channel, token = self.channel(), self._token
            try:
                timeout = max(0.001, min(self.patience.attempt, attempts.left))
                if token is None:
                    token = self._authenticate(channel, timeout)
                return channel.calls[name](request, timeout=timeout, metadata=metadata(token)), doubtful
            except grpc.RpcError as error:
                if wants_token(error) and self._connection.user is not None and not renewed:
                    renewed = self._token == token
                    self._forget(token)
                    continue
                if self._closed.is_set():
                    raise self._closed_error() from error
                advice = advice_on(error)
                if advice is HANGS_UP and self.patience.is_connecting:
                    advice = advise_on_tls(*channel.endpoint, self._connection.secure)
                doubtful |= writes and advice.ends == "nothing" and not was_unsent(error)
                told = explain(error, advice, self._connection, attempts.patience, doubtful)
                if advice.ends == "call":
                    raise told from error
                self.leave(channel)
                pause = attempts.after(channel.endpoint, advice.ends == "member", told)
                if pause is None:
                    raise told from error
                self.rest(pause)
            except ValueError:
                # gRPC's way to say that another thread has closed the channel.
                if channel is self._channel:
                    raise

    def channel(self) -> Channel:
        """The present connection; opens one where there is none.

        Raises:
            RendezvousConnectionError: the client was closed.
            RendezvousError: this is a forked child of the process that the client belongs to.
        """
        if os.getpid() != self._pid:
            raise RendezvousError(
                "This etcd client belongs to the process that created it; a forked child must create its own."
            )
        channel = self._channel
        if channel is not None:
            return channel
        with self._lock:
            if self._closed.is_set():
                raise self._closed_error()
            if self._channel is None:
                endpoints = self._connection.endpoints
                self._channel = Channel(endpoints[self._turn % len(endpoints)], self._credentials)
            return self._channel

    def leave(self, channel: Channel) -> None:
        """Close a connection that has failed; the next one goes to the next member."""
        with self._lock:
            if self._channel is not channel:
                return
            self._turn += 1
            self._channel = None
        channel.close()

    @property
    def token(self) -> str:
        """The present token of the user; empty where none is needed, or none was asked for yet."""
        return self._token or ""

    def rest(self, seconds: float) -> None:
        """Do nothing for a time, or until the client is closed."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Close all connections; calls under way end. May be called twice."""
        if os.getpid() != self._pid:
            return  # gRPC may hang in a forked child
        with self._lock:
            self._closed.set()
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _authenticate(self, channel: Channel, timeout: float) -> str:
        if self._connection.user is None:
            return ""
        request = rpc.AuthenticateRequest(name=self._connection.user, password=self._connection.password)
        try:
            self._token = str(channel.calls["Authenticate"](request, timeout=timeout).token)
        except grpc.RpcError as error:
            if "authentication is not enabled" not in (error.details() or ""):
                raise
            self._token = ""
        return self._token

    def _forget(self, token: str | None) -> None:
        with self._lock:
            if self._token == token:
                self._token = None

    def _closed_error(self) -> RendezvousConnectionError:
        return RendezvousConnectionError(f"This client of etcd at {self._connection} was closed.")
