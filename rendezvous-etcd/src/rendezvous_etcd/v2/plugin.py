"""What the entry point ``etcd-v2`` offers to the registry."""

from rendezvous_core import RendezvousBackend, RendezvousParameters, hookimpl
from rendezvous_etcd.options import read_connection, read_lifetimes
from rendezvous_etcd.v2.backend import EtcdRendezvousBackend
from rendezvous_etcd.v2.client import EtcdCalls
from rendezvous_etcd.v2.store import EtcdStore


@hookimpl
def rendezvous_backend(params: RendezvousParameters) -> EtcdRendezvousBackend:
    """Open the run in the cluster at ``params.endpoint``, over its v2 API.

    The endpoint and the options are those of ``etcd-v3``.

    Raises:
        ValueError: an option or the endpoint is wrong.
        RendezvousConnectionError: the cluster cannot be reached, refuses this user, or has no v2 API.
    """
    ttl, member_ttl = read_lifetimes(params)
    calls = EtcdCalls.from_connection(read_connection(params))
    try:
        backend = EtcdRendezvousBackend(calls, params.run_id, params.get("key_prefix"), ttl, member_ttl)
        backend.connect()
    except BaseException:
        calls.close()
        raise
    return backend


@hookimpl
def rendezvous_store(params: RendezvousParameters, backend: RendezvousBackend) -> EtcdStore | None:
    """Open the store of the run, over the connections of its backend."""
    return EtcdStore.of_run(backend) if isinstance(backend, EtcdRendezvousBackend) else None
