"""What the entry point ``zookeeper`` offers to rendezvous."""

from rendezvous_core import RendezvousBackend, RendezvousParameters, hookimpl
from rendezvous_zookeeper.backend import ROOT, ZookeeperBackend
from rendezvous_zookeeper.session import Session
from rendezvous_zookeeper.store import ZookeeperStore


@hookimpl
def rendezvous_backend(params: RendezvousParameters) -> ZookeeperBackend:
    """Open the run at the servers of ``params.endpoint``; see the README for the options.

    Raises:
        ValueError: an option or the endpoint is wrong; names it.
        RendezvousConnectionError: no server answers.
    """
    root, auth = str(params.get("root", ROOT)), params.get("auth")
    if not root.startswith("/") or root.endswith("/"):
        raise ValueError(f"The option 'root' ({root!r}) must be a path such as {ROOT}.")
    if auth is not None and ":" not in str(auth):
        raise ValueError("The option 'auth' must look like user:password.")
    if not params.run_id:
        raise ValueError("The run id must be a non-empty string.")
    session = Session(
        params.endpoint,
        read_timeout=_seconds(params, "read_timeout"),
        session_timeout=_seconds(params, "session_timeout"),
        auth=None if auth is None else str(auth),
    )
    return ZookeeperBackend(session, params.run_id, root)


@hookimpl
def rendezvous_store(params: RendezvousParameters, backend: RendezvousBackend) -> ZookeeperStore | None:
    """Open the store of the run in the session of its backend."""
    if not isinstance(backend, ZookeeperBackend):
        return None
    return ZookeeperStore(backend.session, f"{backend.path}/store")


def _seconds(params: RendezvousParameters, option: str) -> float:
    seconds = params.get_as_float(option, 10.0)
    if seconds is None or seconds <= 0:
        raise ValueError(f"The option '{option}' ({seconds}) must be a positive number of seconds.")
    return seconds
