"""A node's place in a round, and all that its command must know of it."""

from collections.abc import Callable
from typing import NamedTuple

from rendezvous_core.cli.environment import STORE_PREFIX, run_environment
from rendezvous_core.dynamic.handler import DynamicRendezvousHandler
from rendezvous_core.dynamic.round_store import store_prefix
from rendezvous_core.ports.errors import RendezvousTimeoutError
from rendezvous_core.ports.handler import BOOTSTRAP_KEYS, RendezvousInfo
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.protocol.node import Joined


class Seat(NamedTuple):
    """A rank in a round."""

    joined: Joined
    environment: dict[str, str]
    """The variables of a command that runs in it."""


def take_seat(
    handler: DynamicRendezvousHandler,
    params: RendezvousParameters,
    local_rank: int,
    is_wanted: Callable[[], bool],
) -> Seat | None:
    """Block until the node is in a round whose bootstrap address is known; raises as `next_rendezvous`.

    ``None`` when ``is_wanted`` does not hold any more.
    """
    while is_wanted():
        info = handler.next_rendezvous()
        joined = handler.joined
        while joined is not None and is_wanted() and not handler.num_nodes_waiting():
            try:
                # Rank 0 publishes before it returns, unless it dies first.
                info.store.wait(BOOTSTRAP_KEYS, timeout=1.0)
            except RendezvousTimeoutError:
                continue
            return Seat(joined, run_environment(params) | _environment(params, info, joined, local_rank))
    return None


def _environment(
    params: RendezvousParameters, info: RendezvousInfo, joined: Joined, local_rank: int
) -> dict[str, str]:
    bootstrap = info.bootstrap_store_info
    return {
        "RANK": str(info.rank),
        "WORLD_SIZE": str(info.world_size),
        "LOCAL_RANK": str(local_rank),
        "MASTER_ADDR": bootstrap.master_addr,
        "MASTER_PORT": str(bootstrap.master_port),
        "RDZV_ROUND": str(joined.round),
        STORE_PREFIX: store_prefix(params.run_id, joined),
    }
