"""A connection to one member, over the gRPC stubs of etcd-sdk-python.

Of that distribution only the generated stubs are used. Its own client would not do: it bans an
endpoint for five minutes after one failure, even the only one, asks for a token once and never
again, knows one timeout for everything and none for watches, and hides the revision of what it read.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc.experimental import ChannelOptions
from pyetcd import etcdrpc as rpc

from rendezvous_core.ports.endpoint import Endpoint
from rendezvous_etcd.options import Connection

_OPTIONS = [
    # How a silent server is noticed while nothing is asked of it; etcd allows a ping in 5 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Messages are small: to measure how many bytes fit on the way would double the packets.
    ("grpc.http2.bdp_probe", 0),
    # The server decides what is too large; one that sends more than a GiB is none, or means harm.
    ("grpc.max_receive_message_length", 1 << 30),
    ("grpc.max_send_message_length", -1),
    # Clients, and forked children above all, must not share the sockets of other clients.
    ("grpc.use_local_subchannel_pool", 1),
    # What an environment says of http_proxy is meant for the web, not for the cluster's own servers.
    ("grpc.enable_http_proxy", 0),
    # Who reads the responses to one request needs no thread beside its own.
    (ChannelOptions.SingleThreadedUnaryStream, 1),
]


class Channel:
    """A connection to one member, and the calls that can be made over it."""

    def __init__(self, endpoint: Endpoint, credentials: grpc.ChannelCredentials | None) -> None:
        target = str(endpoint)
        self.endpoint = endpoint
        self._channel = (
            grpc.secure_channel(target, credentials, _OPTIONS)
            if credentials
            else grpc.insecure_channel(target, _OPTIONS)
        )
        kv, lease, auth = (stub(self._channel) for stub in (rpc.KVStub, rpc.LeaseStub, rpc.AuthStub))
        self._range, self._keep_alive = kv.Range, lease.LeaseKeepAlive
        self.calls = {
            "Range": kv.Range,
            "Ranges": self._range_all,
            "Txn": kv.Txn,
            "DeleteRange": kv.DeleteRange,
            "Authenticate": auth.Authenticate,
            "LeaseGrant": lease.LeaseGrant,
            "LeaseTimeToLive": lease.LeaseTimeToLive,
            "LeaseKeepAlive": self._keep_alive_once,
        }
        self.watch = rpc.WatchStub(self._channel).Watch
        self.watch_alone = self._channel.unary_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=rpc.WatchRequest.SerializeToString,
            response_deserializer=rpc.WatchResponse.FromString,
        )

    def close(self) -> None:
        """Cancel all calls."""
        self._channel.close()

    def _range_all(self, requests: Sequence[Any], **options: Any) -> list[Any]:
        """Read several things at the same time."""
        futures = [self._range.future(each, **options) for each in requests]
        try:
            return [each.result() for each in futures]
        finally:
            for each in futures:
                each.cancel()

    def _keep_alive_once(self, request: Any, **options: Any) -> Any:
        answered = threading.Event()

        def requests() -> Iterator[Any]:
            yield request
            # etcd's own proxy cancels what it has not answered when its client has no more to say.
            answered.wait()

        answers = self._keep_alive(requests(), **options)
        try:
            return next(answers, rpc.LeaseKeepAliveResponse())
        finally:
            answered.set()
            answers.cancel()


def metadata(token: str) -> Sequence[tuple[str, str]]:
    """What to send along with a call."""
    return (("token", token),) if token else ()


def credentials(connection: Connection) -> grpc.ChannelCredentials | None:
    """What is needed for TLS, where ``connection`` asks for that."""
    if not connection.secure:
        return None
    ca_cert, ssl_cert, key = (
        Path(path).read_bytes() if path else None
        for path in (connection.ca_cert, connection.ssl_cert, connection.ssl_cert_key or connection.ssl_cert)
    )
    return grpc.ssl_channel_credentials(ca_cert, key, ssl_cert)
