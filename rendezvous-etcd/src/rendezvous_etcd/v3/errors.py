"""What etcd and gRPC say, told as rendezvous errors that name the endpoint and the fix."""

import grpc

from rendezvous_core import RendezvousConnectionError, RendezvousError, RendezvousStateError
from rendezvous_etcd.hints import hint
from rendezvous_etcd.options import Connection


class UncertainError(RendezvousConnectionError):
    """The answer to a write is missing: it may have been carried out."""


class LeaseNotFoundError(RendezvousConnectionError):
    """The lease of a write has expired; nothing was written."""


class LeaseExistsError(RendezvousConnectionError):
    """A lease of this id has been granted already."""


_RETRIED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,  # another thread has closed the connection
    grpc.StatusCode.INTERNAL,  # the stream was reset
    grpc.StatusCode.UNKNOWN,
}
_UNSENT = ("failed to connect to all addresses", "name resolution failed", "DNS resolution failed")
_TOKEN_TROUBLE = ("invalid auth token", "user name is empty", "revision of auth store is old")


def may_succeed_elsewhere(error: grpc.RpcError) -> bool:
    """Whether another attempt, over another connection, may succeed. The call may have been carried out."""
    return error.code() in _RETRIED or "too many requests" in _details(error)


def was_unsent(error: grpc.RpcError) -> bool:
    """Whether the request has certainly not reached a server."""
    return error.code() is grpc.StatusCode.UNAVAILABLE and any(text in _details(error) for text in _UNSENT)


def wants_token(error: grpc.RpcError) -> bool:
    """Whether the server wants a new token of the user."""
    return any(text in _details(error) for text in _TOKEN_TROUBLE)


def explain(error: grpc.RpcError, connection: Connection, doubtful: bool = False) -> RendezvousError:
    """Turn ``error`` into the rendezvous error to raise from it; ``doubtful`` if it may hide a success."""
    code, details = error.code(), _details(error)
    if "requested lease not found" in details:
        return LeaseNotFoundError(details)
    if "lease already exists" in details:
        return LeaseExistsError(details)
    kind: type[RendezvousError] = RendezvousConnectionError
    if "space exceeded" in details:
        text = (
            "has reached its space quota and takes no writes: compact and defragment it, then disarm the "
            "alarm (etcdctl alarm disarm), or raise its --quota-backend-bytes"
        )
    elif "request is too large" in details:
        kind = RendezvousStateError
        text = "takes no request of this size: write smaller values, or raise its --max-request-bytes"
    elif "authentication failed" in details:
        kind = RendezvousStateError
        text = f"does not accept the password of the user {connection.user!r}: check user and password"
    elif "user name is empty" in details:
        kind = RendezvousStateError
        text = "wants to know who asks: give the options user and password"
    elif "permission denied" in details:
        kind = RendezvousStateError
        who, remedy = "anybody", "give the options user and password"
        if connection.user is not None:
            who, remedy = f"the user {connection.user!r}", "grant the user that"
        text = f"does not let {who} read and write below the prefix of the keys: {remedy}"
    elif code is grpc.StatusCode.UNIMPLEMENTED:
        text = "does not speak the v3 API; is it an etcd of version 3.4 or later?"
    elif may_succeed_elsewhere(error):
        remedy = hint(details, connection.secure)
        text = f"cannot be reached within {connection.read_timeout:g} s{remedy}"
    else:
        text = "has refused a request"
    if doubtful:
        kind, text = UncertainError, f"{text}: whether a write was carried out, or will be, is unknown"
    return kind(f"etcd at {connection} {text} ({code.name}: {details}).")


def _details(error: grpc.RpcError) -> str:
    return error.details() or "no details"
