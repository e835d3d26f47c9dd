"""What the entry point ``etcd-v3`` offers to the registry."""

from collections.abc import Sequence

from rendezvous_core import Option, RendezvousBackend, RendezvousParameters, hookimpl
from rendezvous_core.ports.calls import shielded_method
from rendezvous_etcd.options import OPTIONS, read_connection, read_lifetimes
from rendezvous_etcd.v3.backend import Etcd3RendezvousBackend
from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.runs import Etcd3Runs
from rendezvous_etcd.v3.store import Etcd3Store


@shielded_method  # gRPC waits for ever in its cleaning up where a signal handler raised before
def create_backend(params: RendezvousParameters) -> tuple[Etcd3RendezvousBackend, Etcd3Store]:
    """Open the run in the cluster at ``params.endpoint``, a list such as ``h1:2379,h2:2379,h3:2379``.

    Options, beside those of the dynamic handler: ``protocol`` (``http``, or ``https`` where a
    certificate is given), ``ca_cert``, ``ssl_cert``, ``ssl_cert_key``, ``user``, ``password``,
    ``connect_timeout`` (60 s), ``read_timeout`` (10 s), ``key_prefix`` (``/rendezvous``), ``ttl``
    (7200 s), ``member_ttl`` (60 s, or four times the silence after which a node counts as dead if that
    is longer). A cluster, or its name, that is not there yet is waited for; what it refuses is not.
    Closing the backend closes the store's connection too.

    Raises:
        ValueError: an option or the endpoint is wrong.
        RendezvousConnectionError: the cluster cannot be reached.
        RendezvousStateError: the cluster refuses this user.
    """
    ttl, member_ttl = read_lifetimes(params)
    connection = read_connection(params)
    client = Etcd3Client.from_connection(connection)
    try:
        backend = Etcd3RendezvousBackend(client, params.run_id, params.get("key_prefix"), ttl, member_ttl)
        client.patience.connect(backend.connect, connection.connect_timeout)
    except BaseException:
        client.close()
        raise
    return backend, Etcd3Store.of_run(backend)


@hookimpl
def rendezvous_options() -> Sequence[Option]:
    """Declare the options."""
    return OPTIONS


@hookimpl
def rendezvous_backend(params: RendezvousParameters) -> Etcd3RendezvousBackend:
    """Open the backend; see `create_backend`."""
    return create_backend(params)[0]


@hookimpl
def rendezvous_store(params: RendezvousParameters, backend: RendezvousBackend) -> Etcd3Store | None:
    """Open the store over the connection of ``backend``."""
    return Etcd3Store.of_run(backend) if isinstance(backend, Etcd3RendezvousBackend) else None


@hookimpl
@shielded_method
def rendezvous_runs(params: RendezvousParameters) -> Etcd3Runs:
    """Open all runs below ``key_prefix``; endpoint and options are those of a backend."""
    connection = read_connection(params)
    client = Etcd3Client.from_connection(connection)
    runs = Etcd3Runs(client, params.get("key_prefix"))
    try:
        client.patience.connect(runs.connect, connection.connect_timeout)
    except BaseException:
        runs.close()
        raise
    return runs
