"""What the participants of a round get: its store, whose keys are kept for a while, and an address."""

import functools
import logging
import time
from collections.abc import Callable, Sequence

from rendezvous_core.over_store.prefix_store import view
from rendezvous_core.ports.calls import begin, shielded
from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousError
from rendezvous_core.ports.handler import RendezvousInfo, RendezvousStoreInfo
from rendezvous_core.ports.store import Store, peek
from rendezvous_core.protocol.node import Joined

_logger = logging.getLogger("rendezvous_core")


def hand_out(
    run_id: str,
    store: Store,
    joined: Joined,
    address: str,
    is_over: Callable[[], bool],
    deadline: float,
) -> RendezvousInfo:
    """Return what a participant gets; rank 0 publishes ``address`` before ``deadline``.

    Raises:
        RendezvousConnectionError: it could not, or its part in the round ``is_over`` meanwhile.
    """
    keys = view(store_prefix(run_id, joined), store)
    bootstrap = functools.partial(RendezvousStoreInfo.build, joined.rank, keys, address)
    if joined.rank != 0:
        return RendezvousInfo(keys, joined.rank, joined.world_size, bootstrap)
    shielded(lambda: forget_past_rounds(store, run_id, joined), deadline)
    return RendezvousInfo(keys, joined.rank, joined.world_size, _persist(bootstrap, is_over, deadline))


def _persist(
    publish: Callable[[], RendezvousStoreInfo], is_over: Callable[[], bool], deadline: float
) -> RendezvousStoreInfo:
    pause = 0.01
    while True:
        try:
            return shielded(publish, deadline)
        except RendezvousConnectionError:
            # Who has left meanwhile, or was shut down, need not tell anybody.
            if time.monotonic() + pause > deadline or is_over():
                raise
        time.sleep(pause)
        pause = min(2 * pause, 1.0)


def store_prefix(run_id: str, joined: Joined) -> str:
    """Return the prefix of the keys of a round's store."""
    return f"rendezvous/{run_id}/{joined.round}/{joined.round_id}"


def rounds_key(run_id: str) -> str:
    """Return the key that lists the rounds whose stores may hold something."""
    return f"rendezvous/{run_id}/rounds"


def forget_past_rounds(store: Store, run_id: str, joined: Joined) -> None:
    """Delete what was stored in rounds that are two or more behind ``joined``: nobody reads it any more.

    A participant of the round before may still be on its way out of it. To be called by rank 0 of the
    round; the rounds that still hold something are listed in the store itself, since rank 0 moves. The
    deleting is done beside; what cannot be deleted now is left to a later round.
    """
    listing = rounds_key(run_id)
    try:
        known = (peek(store, listing) or b"").decode().splitlines() if joined.round else []
        doomed = [each for each in known if int(each.partition("/")[0]) <= joined.round - 2]
        if doomed:
            begin(lambda: _forget(store, run_id, doomed))
        kept = [each for each in known if each not in doomed]
        store.set(listing, "\n".join([*kept, f"{joined.round}/{joined.round_id}"]))
    except RendezvousError as error:
        _logger.debug("What past rounds of the run %s stored is still there: %s", run_id, error)


def _forget(store: Store, run_id: str, rounds: Sequence[str]) -> None:
    try:
        for each in rounds:
            store.forget(f"rendezvous/{run_id}/{each}")
    except RendezvousError as error:
        _logger.debug("What past rounds of the run %s stored is still there: %s", run_id, error)
