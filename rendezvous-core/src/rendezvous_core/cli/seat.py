"""A node's place in a round, and all that its command must know of it."""

from collections.abc import Callable
from typing import NamedTuple

from rendezvous_core.cli.environment import STORE_PREFIX, run_environment
from rendezvous_core.dynamic.handler import DynamicRendezvousHandler
from rendezvous_core.dynamic.round_store import store_prefix
from rendezvous_core.plugins.hookspecs import RendezvousSeat
from rendezvous_core.plugins.loading import environment_of
from rendezvous_core.ports.errors import RendezvousTimeoutError
from rendezvous_core.ports.handler import BOOTSTRAP_KEYS, RendezvousInfo
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.protocol.node import Joined

_SLICE = 1.0
"""After how many seconds of waiting for others a node looks whether the round is still worth it."""


class Seat(NamedTuple):
    """A rank in a round."""

    joined: Joined
    environment: dict[str, str]
    """The variables of a command that runs in it."""


class Place(NamedTuple):
    """Where a node stands among those that ``--spawn`` started."""

    rank: int = 0
    size: int = 1


def take_seat(
    handler: DynamicRendezvousHandler,
    params: RendezvousParameters,
    place: Place,
    is_wanted: Callable[[], bool],
) -> Seat | None:
    """Block until the node is in a round of which all is known that its command must know.

    ``None`` when ``is_wanted`` does not hold any more. Raises as `next_rendezvous` and `environment_of`.
    """
    while is_wanted():
        info = handler.next_rendezvous()
        joined = handler.joined
        info.store.set_timeout(_SLICE)
        while joined is not None and is_wanted() and not handler.num_nodes_waiting():
            try:
                # Rank 0 publishes before it returns, unless it dies first.
                info.store.wait(BOOTSTRAP_KEYS)
                seat = _describe(handler, params, info, joined, place)
                others = environment_of(seat)
            except RendezvousTimeoutError:
                continue
            return Seat(joined, others | run_environment(params) | _environment(params, seat, joined))
    return None


def _describe(
    handler: DynamicRendezvousHandler,
    params: RendezvousParameters,
    info: RendezvousInfo,
    joined: Joined,
    place: Place,
) -> RendezvousSeat:
    bootstrap = info.bootstrap_store_info
    return RendezvousSeat(
        run_id=params.run_id,
        round=joined.round,
        rank=info.rank,
        world_size=info.world_size,
        local_rank=place.rank,
        local_world_size=place.size,
        address=handler.address,
        master_addr=bootstrap.master_addr,
        master_port=bootstrap.master_port,
        store=info.store,
    )


def _environment(params: RendezvousParameters, seat: RendezvousSeat, joined: Joined) -> dict[str, str]:
    return {
        "RANK": str(seat.rank),
        "WORLD_SIZE": str(seat.world_size),
        "LOCAL_RANK": str(seat.local_rank),
        "LOCAL_WORLD_SIZE": str(seat.local_world_size),
        "GROUP_RANK": str(seat.group_rank),
        "GROUP_WORLD_SIZE": str(seat.group_world_size),
        "NODE_RANK": str(seat.group_rank),
        "MASTER_ADDR": seat.master_addr,
        "MASTER_PORT": str(seat.master_port),
        "RDZV_ROUND": str(joined.round),
        # Each round but the first is a restart of all.
        "RDZV_RESTART_COUNT": str(joined.round),
        STORE_PREFIX: store_prefix(params.run_id, joined),
    }
