"""The backend ``static``: a launcher or scheduler has given every node its rank and the world its size.

As in torch, the option ``rank`` is required, the world has ``max_nodes`` nodes, and the endpoint is where
the workers of rank 0 listen. Nobody needs to be found, but all must be there, and they share a store: so
the nodes meet over another backend, the option ``store_backend`` (with ``store_endpoint``), and keep the
ranks they were given. On one machine that is ``sqlite`` by default. All other options are those of the
dynamic handler and of that backend; ``timeout`` is another name of ``join_timeout``, as in torch.
"""

import ipaddress
from collections.abc import Sequence

from rendezvous_core.dynamic.creation import create_handler
from rendezvous_core.dynamic.handler import DynamicRendezvousHandler
from rendezvous_core.plugins.hookspecs import hookimpl
from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.ports.endpoint import parse_endpoint
from rendezvous_core.ports.errors import RendezvousStateError
from rendezvous_core.ports.handler import RendezvousHandler, RendezvousInfo, RendezvousStoreInfo
from rendezvous_core.ports.options import Option
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.redaction import redact
from rendezvous_core.registry import backend_options, create_backend, create_store


class StaticRendezvousHandler(RendezvousHandler):
    """Waits until all nodes are there; ranks and bootstrap address are those that were given.

    Every call of `next_rendezvous` is a round of all nodes, with a store of its own. Membership does
    not change: `num_nodes_waiting` is always 0, and the run is never closed, so that its id can be
    used again.
    """

    def __init__(
        self,
        rank: int,
        world_size: int,
        bootstrap: RendezvousStoreInfo,
        group: DynamicRendezvousHandler,
        backend: RendezvousBackend,
    ) -> None:
        self._rank = rank
        self._world_size = world_size
        self._bootstrap = bootstrap
        self._group = group
        self._backend = backend

    def get_backend(self) -> str:
        """See base class."""
        return "static"

    def next_rendezvous(self) -> RendezvousInfo:
        """See base class; `RendezvousStateError` also where two nodes were given the same rank."""
        store = self._group.next_rendezvous().store
        mine = self._group.node_id.encode()
        if store.compare_set(f"rendezvous/static/{self._rank}", "", mine) != mine:
            self._group.leave()
            raise RendezvousStateError(
                f"Rank {self._rank} of the run '{self.get_run_id()}' was given to another node too; "
                f"each of the {self._world_size} nodes needs a rank of its own."
            )
        return RendezvousInfo(store, self._rank, self._world_size, self._bootstrap)

    def is_closed(self) -> bool:
        """See base class."""
        return False

    def set_closed(self) -> None:
        """Do nothing, as in torch."""

    def num_nodes_waiting(self) -> int:
        """See base class."""
        return 0

    def get_run_id(self) -> str:
        """See base class."""
        return self._group.get_run_id()

    def leave(self, *, done: bool = False) -> bool:
        """See base class. The run stays open also when all are done."""
        return self._group.leave()

    def shutdown(self) -> bool:
        """Leave the group and release all resources; the run stays open for the other nodes."""
        try:
            return self._group.leave()
        finally:
            self._backend.close()


_RANK = Option(
    "rank", "integer", "the rank of this node, from 0 to the number of nodes - 1", unset="required"
)
_STORE_BACKEND = Option(
    "store_backend",
    "text",
    "name of the backend that carries the shared store; its options and those of the handler are there too",
    unset="`sqlite` on one machine",
)
_STORE_ENDPOINT = Option("store_endpoint", "text", "where that backend is", "", unset="the backend's own")
_TIMEOUT = Option("timeout", "seconds", "another name of `join_timeout`, as in torch", unset="600 s")
_OPTIONS = (_RANK, _STORE_BACKEND, _STORE_ENDPOINT, _TIMEOUT)


@hookimpl
def rendezvous_options(params: RendezvousParameters) -> Sequence[Option] | None:
    """Declare the options of this backend, and those of the one that carries its store."""
    name = _STORE_BACKEND.read(params) or "sqlite"
    if name == params.backend:
        return None  # which is refused in a moment
    others = backend_options(RendezvousParameters(name, "", "", 1, 1, **params.config))
    return None if others is None else (*_OPTIONS, *others)


@hookimpl
def rendezvous_handler(params: RendezvousParameters) -> StaticRendezvousHandler:
    """Build the handler of the node whose rank the options give."""
    world_size = params.max_nodes
    rank = _RANK.read(params)
    if rank is None:
        raise ValueError("The option 'rank' of the static rendezvous is absent: give this node's rank.")
    if rank >= world_size:
        raise ValueError(
            f"The option 'rank' ({rank}) must be from 0 to {world_size - 1}, "
            f"since there are {world_size} nodes."
        )
    bootstrap = _bootstrap(params.endpoint)
    name = _STORE_BACKEND.read(params) or _default_store(bootstrap, world_size)
    endpoint = _STORE_ENDPOINT.read(params)
    own = {name for option in _OPTIONS for name in option.names}
    options = {key: value for key, value in params.config.items() if key not in own}
    if (timeout := _TIMEOUT.read(params)) is not None:
        options.setdefault("join_timeout", timeout)
    group = RendezvousParameters(
        name, endpoint, params.run_id, world_size, world_size, params.local_addr, **options
    )
    backend = create_backend(group)
    try:
        handler = create_handler(create_store(group, backend), backend, group)
        return StaticRendezvousHandler(rank, world_size, bootstrap, handler, backend)
    except BaseException:
        backend.close()
        raise


def _bootstrap(endpoint: str) -> RendezvousStoreInfo:
    if not (endpoint or "").strip():
        raise ValueError(
            "The endpoint of the static rendezvous is absent: give the address of rank 0, host:port."
        )
    host, port = parse_endpoint(endpoint, 0)
    if port == 0:
        raise ValueError(
            f"The endpoint '{redact(endpoint)}' of the static rendezvous has no port: give host:port."
        )
    return RendezvousStoreInfo(host, port)


def _default_store(bootstrap: RendezvousStoreInfo, world_size: int) -> str:
    if world_size > 1 and not _is_loopback(bootstrap.master_addr):
        raise ValueError(
            f"The static rendezvous at '{bootstrap.master_addr}' may span machines and needs the option "
            "'store_backend', the name of the backend that carries the shared store (redis, etcd-v3, c10d; "
            "sqlite if all nodes are on one machine), and 'store_endpoint'."
        )
    return "sqlite"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
