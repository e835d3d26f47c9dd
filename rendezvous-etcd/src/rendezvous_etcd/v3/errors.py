"""What etcd and gRPC say, told as rendezvous errors that name the endpoint and the fix."""

import grpc

from rendezvous_core import RendezvousConnectionError, RendezvousError, RendezvousStateError
from rendezvous_etcd.errors import CONNECTING, TLS, Advice, advise, raised
from rendezvous_etcd.options import Connection


class LeaseNotFoundError(RendezvousConnectionError):
    """The lease of a write has expired; nothing was written."""


class LeaseExistsError(RendezvousConnectionError):
    """A lease of this id has been granted already."""


class RevisionGoneError(RendezvousConnectionError):
    """The revision of a read is not kept any more, or was of data that the cluster has lost."""


_TABLE = (
    Advice(
        r"revision has been compacted|future revision",
        "does not keep that revision",
        "call",
        RevisionGoneError,
    ),
    Advice(r"requested lease not found", "has no such lease", "call", LeaseNotFoundError),
    Advice(r"lease already exists", "has such a lease already", "call", LeaseExistsError),
    Advice(
        r"space exceeded",
        "has reached its space quota and takes no writes: compact and defragment it, then disarm the alarm "
        "(etcdctl alarm disarm), or raise its --quota-backend-bytes",
        "call",
        RendezvousConnectionError,
    ),
    Advice(
        r"corrupt",
        "says that the data of its members differ, and serves nothing: replace the members that are wrong, "
        "then disarm the alarm (etcdctl alarm disarm)",
        "call",
        RendezvousConnectionError,
    ),
    Advice(
        r"request is too large|message larger than max",
        "takes no request of this size: write smaller values, or raise its --max-request-bytes, and "
        "--max-send-bytes and --max-recv-bytes of a gRPC proxy",
        "call",
        RendezvousStateError,
    ),
    Advice(
        r"authentication failed",
        "does not accept the password of the user {user!r}, or has no such user: check user and password",
        "call",
        RendezvousStateError,
    ),
    Advice(
        r"user name is empty",
        "wants to know who asks: give the options user and password",
        "call",
        RendezvousStateError,
    ),
    Advice(
        r"permission denied",
        "does not let {who} read and write below the prefix of the keys: {grant}",
        "call",
        RendezvousStateError,
    ),
    Advice(
        r"UNIMPLEMENTED",
        "does not speak the v3 API; is it an etcd of version 3.4 or later?",
        "member",
        RendezvousConnectionError,
    ),
    Advice(
        r"no leader|request timed out|leader changed|not leader|too many requests",
        "has no leader, or too much to do, within {patience:g} s: are most of its members up, and can they "
        "reach each other?",
    ),
    *TLS,
)
_UNREACHABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,  # another thread has closed the connection
    grpc.StatusCode.INTERNAL,  # the stream was reset
    grpc.StatusCode.UNKNOWN,
}
_OTHER = Advice(r"", "has refused a request", "call", RendezvousConnectionError)
_UNSENT = r"failed to connect to all addresses", "resolution failed", "errors resolving"
_TOKEN_TROUBLE = "invalid auth token", "user name is empty", "revision of auth store is old"


def was_unsent(error: grpc.RpcError) -> bool:
    """Whether the request has certainly not reached a server."""
    return error.code() is grpc.StatusCode.UNAVAILABLE and any(text in _said(error) for text in _UNSENT)


def wants_token(error: grpc.RpcError) -> bool:
    """Whether the server wants a new token of the user."""
    return any(text in _said(error) for text in _TOKEN_TROUBLE)


def advice_on(error: grpc.RpcError) -> Advice:
    """What to do about ``error``."""
    rest = CONNECTING if error.code() in _UNREACHABLE else (_OTHER,)
    return advise(_said(error), (*_TABLE, *rest))


def explain(
    error: grpc.RpcError, advice: Advice, connection: Connection, patience: float, doubtful: bool = False
) -> RendezvousError:
    """The rendezvous error to raise from ``error``; ``doubtful`` where it may hide a success."""
    who, grant = "anybody", "give the options user and password"
    if connection.user is not None:
        who, grant = f"the user {connection.user!r}", "grant the user that"
    doubtful = doubtful and not issubclass(advice.kind, LeaseNotFoundError)  # whose writes are gone too
    return raised(
        advice,
        str(connection),
        _said(error),
        doubtful,
        patience=patience,
        user=connection.user,
        who=who,
        grant=grant,
    )


def _said(error: grpc.RpcError) -> str:
    return f"{error.code().name}: {error.details() or 'no details'}"
