"""What python-etcd says, told as rendezvous errors that name the endpoint and the fix."""

import etcd

from rendezvous_core import RendezvousConnectionError, RendezvousError, RendezvousStateError
from rendezvous_etcd.errors import CONNECTING, TLS, Advice, advise, raised

_TABLE = (
    Advice(
        r"404 page not found",
        "has no v2 API: use the backend etcd-v3, which every etcd since 3.4 serves, or start an etcd before "
        "3.6 with --enable-v2",
        "member",
        RendezvousConnectionError,
    ),
    Advice(
        r"EtcdInsufficientPermissions",
        "does not let {who} do this: check user and password, and that it may read and write the keys below "
        "the prefix; the users of the v2 API are not those of the v3 API",
        "call",
        RendezvousStateError,
    ),
    Advice(
        r"EtcdKeyError|EtcdValueError",
        "holds something else where this run's data should be: delete it, or choose another run id or prefix",
        "call",
        RendezvousStateError,
    ),
    Advice(
        r"request timed out|[Nn]o leader|EtcdLeaderElectionInProgress|leader changed",
        "has no leader within {patience:g} s: are most of its members up, and can they reach each other?",
    ),
    *TLS,
    *CONNECTING,
)


def advice_on(error: Exception) -> Advice:
    """What to do about ``error``."""
    kinds = " ".join(each.__name__ for each in type(error).__mro__)
    return advise(f"{kinds}: {error}", _TABLE)


def explain(
    error: Exception, advice: Advice, client: etcd.Client, patience: float, doubtful: bool = False
) -> RendezvousError:
    """The rendezvous error to raise from ``error``; ``doubtful`` where it may hide a success."""
    who = f"the user {client.username!r}" if client.username else "clients without a user"
    return raised(advice, str(client.base_uri), str(error).strip(), doubtful, patience=patience, who=who)
