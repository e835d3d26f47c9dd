"""The handler on top of the legacy protocol."""

import functools
import logging
import socket

from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousError,
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    RendezvousTimeoutError,
)
from rendezvous_core.ports.addresses import address_towards
from rendezvous_core.ports.settings import JOIN_TIMEOUT
from rendezvous_etcd.legacy.rendezvous import EtcdRendezvous
from rendezvous_etcd.options import ETCD_PREFIX, LAST_CALL, TIMEOUT, read_connection
from rendezvous_etcd.v2.client import EtcdCalls

_logger = logging.getLogger("rendezvous_etcd")


class EtcdRendezvousHandler(RendezvousHandler):
    """Forms rounds by the legacy protocol, in one group with nodes of torch's class of this name.

    The dynamic handler over ``etcd-v3`` or ``etcd-v2`` supersedes it: with this one, a new round after
    one that was complete begins only when a rank of that has expired, after up to ten seconds.

    Args:
        rdzv_impl: the protocol.
        local_addr: where the workers of rank 0 meet; by default the address of the interface that leads
            to etcd.
    """

    def __init__(self, rdzv_impl: EtcdRendezvous, local_addr: str | None = None) -> None:
        _warn()
        self._rendezvous = rdzv_impl
        self._local_addr = local_addr or address_towards(rdzv_impl.hosts).address
        self._waiting = 0

    def get_backend(self) -> str:
        """See base class."""
        return "etcd"

    def get_run_id(self) -> str:
        """See base class."""
        return self._rendezvous.run_id

    def next_rendezvous(self) -> RendezvousInfo:
        """See base class."""
        try:
            version, rank, world_size = self._rendezvous.rendezvous_barrier()
        except RendezvousTimeoutError as error:
            raise RendezvousTimeoutError(
                f"{error} This node is {socket.gethostname()} ({self._local_addr})."
            ) from error
        self._waiting = 0
        store = self._rendezvous.setup_kv_store(version)
        build = functools.partial(RendezvousStoreInfo.build, rank, store, self._local_addr)
        # Rank 0 has to publish now, the others may look it up when they need it.
        return RendezvousInfo(store, rank, world_size, build() if rank == 0 else build)

    def is_closed(self) -> bool:
        """See base class. Asks etcd."""
        state = self._rendezvous.get_rdzv_state()
        return state is not None and state.status == "closed"

    def set_closed(self) -> None:
        """See base class."""
        self._rendezvous.set_closed()

    def num_nodes_waiting(self) -> int:
        """See base class. Asks etcd; while that cannot be reached, the number is the last one known.

        Unlike torch's, tells also of a participant that is gone, and of a round that others have begun
        without this node.
        """
        membership = self._rendezvous.membership
        try:
            state = self._rendezvous.get_rdzv_state()
        except RendezvousConnectionError as error:
            _logger.warning("How many nodes wait is not known: %s", error)
            return self._waiting
        if state is None or state.status == "closed":
            self._waiting = 0
        elif state.status == "final" and (membership is None or membership.version == state.version):
            self._waiting = max(state.waiting, int(membership is not None and membership.somebody_is_gone))
        else:
            self._waiting = int(membership is not None)
        return self._waiting

    def shutdown(self) -> bool:
        """See base class."""
        try:
            self.set_closed()
        except RendezvousError:
            _logger.warning("The rendezvous could not be closed.", exc_info=True)
            return False
        finally:
            self._rendezvous.close()
        return True


def create_rdzv_handler(params: RendezvousParameters) -> EtcdRendezvousHandler:
    """Create a handler; the options are torch's, and those of the connection: `LEGACY_OPTIONS`.

    Raises:
        ValueError: an option or the endpoint is wrong.
        RendezvousConnectionError: the cluster cannot be reached, or has no v2 API.
        RendezvousStateError: it does not let this user read and write.
    """
    timeout = None if params.get("join_timeout") is not None else TIMEOUT.read(params)
    timeout = JOIN_TIMEOUT.read(params) if timeout is None else timeout
    connection = read_connection(params)
    calls = EtcdCalls.from_connection(connection)
    try:
        rendezvous = EtcdRendezvous(
            calls,
            ETCD_PREFIX.read(params),
            params.run_id,
            params.min_nodes,
            params.max_nodes,
            timeout,
            LAST_CALL.read(params),
        )
        calls.patience.connect(rendezvous.connect, min(connection.connect_timeout, timeout))
    except BaseException:
        calls.close()
        raise
    return EtcdRendezvousHandler(rendezvous, params.local_addr)


@functools.cache
def _warn() -> None:
    _logger.warning(
        "The legacy etcd rendezvous is superseded: use the backend 'etcd-v3', or 'etcd-v2' where the server "
        "must be asked over its v2 API, unless nodes of torch's 'etcd' are in the group."
    )
