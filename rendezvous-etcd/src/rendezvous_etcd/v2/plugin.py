"""What the entry point ``etcd-v2`` offers to the registry."""

from collections.abc import Sequence

from rendezvous_core import Option, RendezvousBackend, RendezvousParameters, hookimpl
from rendezvous_etcd.options import OPTIONS, read_connection, read_lifetimes, runs_path
from rendezvous_etcd.v2.backend import EtcdRendezvousBackend
from rendezvous_etcd.v2.client import EtcdCalls
from rendezvous_etcd.v2.runs import EtcdRuns
from rendezvous_etcd.v2.store import EtcdStore


def create_backend(params: RendezvousParameters) -> tuple[EtcdRendezvousBackend, EtcdStore]:
    """Open the run in the cluster at ``params.endpoint``, over its v2 API.

    The endpoint and the options are those of ``etcd-v3``; closing the backend closes the store's
    connections too.

    Raises:
        ValueError: an option or the endpoint is wrong.
        RendezvousConnectionError: the cluster cannot be reached, or has no v2 API.
        RendezvousStateError: the cluster refuses this user.
    """
    ttl, member_ttl = read_lifetimes(params)
    connection = read_connection(params)
    calls = EtcdCalls.from_connection(connection)
    try:
        backend = EtcdRendezvousBackend(calls, params.run_id, params.get("key_prefix"), ttl, member_ttl)
        calls.patience.connect(backend.connect, connection.connect_timeout)
    except BaseException:
        calls.close()
        raise
    return backend, EtcdStore.of_run(backend)


@hookimpl
def rendezvous_options() -> Sequence[Option]:
    """Declare the options."""
    return OPTIONS


@hookimpl
def rendezvous_backend(params: RendezvousParameters) -> EtcdRendezvousBackend:
    """Open the backend; see `create_backend`."""
    return create_backend(params)[0]


@hookimpl
def rendezvous_store(params: RendezvousParameters, backend: RendezvousBackend) -> EtcdStore | None:
    """Open the store over the connections of ``backend``."""
    return EtcdStore.of_run(backend) if isinstance(backend, EtcdRendezvousBackend) else None


@hookimpl
def rendezvous_runs(params: RendezvousParameters) -> EtcdRuns:
    """Open all runs below ``key_prefix``; endpoint and options are those of a backend."""
    return EtcdRuns.opened(read_connection(params), runs_path(params.get("key_prefix")))
