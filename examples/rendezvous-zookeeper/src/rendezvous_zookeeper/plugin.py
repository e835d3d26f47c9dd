"""What the entry point ``zookeeper`` offers to rendezvous."""

from collections.abc import Sequence

from rendezvous_core import Option, RendezvousBackend, RendezvousParameters, hookimpl, read_options
from rendezvous_zookeeper.backend import ROOT, ZookeeperBackend
from rendezvous_zookeeper.runs import ZookeeperRuns
from rendezvous_zookeeper.session import Session
from rendezvous_zookeeper.store import ZookeeperStore

OPTIONS = (
    Option("read_timeout", "seconds", "to wait for a connection, and then for an answer", 10, most=3600),
    Option(
        "session_timeout", "seconds", "without contact after which ZooKeeper forgets a node", 10, most=3600
    ),
    Option("root", "text", "the path below which everything is kept", ROOT),
    Option(
        "auth",
        "text",
        "`user:password` (scheme `digest`); what is created is then readable by that user alone",
        secret=True,
    ),
)


@hookimpl
def rendezvous_options() -> Sequence[Option]:
    """Declare the options of the backend."""
    return OPTIONS


@hookimpl
def rendezvous_backend(params: RendezvousParameters) -> ZookeeperBackend:
    """Open the run at the servers of ``params.endpoint``; see the README for the options.

    Raises:
        ValueError: an option or the endpoint is wrong; names it.
        RendezvousConnectionError: no server answers.
    """
    if not params.run_id:
        raise ValueError("The run id must be a non-empty string.")
    session, root = _open(params)
    return ZookeeperBackend(session, params.run_id, root)


@hookimpl
def rendezvous_store(params: RendezvousParameters, backend: RendezvousBackend) -> ZookeeperStore | None:
    """Open the store of the run in the session of its backend."""
    if not isinstance(backend, ZookeeperBackend):
        return None
    return ZookeeperStore(backend.session, f"{backend.path}/store")


@hookimpl
def rendezvous_runs(params: RendezvousParameters) -> ZookeeperRuns:
    """Open all runs at the servers of ``params.endpoint``; raises as `rendezvous_backend` does."""
    return ZookeeperRuns(*_open(params))


def _open(params: RendezvousParameters) -> tuple[Session, str]:
    given = read_options(params, OPTIONS)
    root, auth = given.pop("root"), given["auth"]
    if not root.startswith("/") or root.endswith("/"):
        raise ValueError(f"The option 'root' ({root!r}) must be a path such as {ROOT}.")
    if auth is not None and ":" not in auth:
        raise ValueError("The option 'auth' must look like user:password.")
    return Session(params.endpoint, **given), root
