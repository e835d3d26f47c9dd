"""Where the participants of a round keep the keys of its store, and for how long."""

import logging

from rendezvous_core.ports.errors import RendezvousError
from rendezvous_core.ports.store import Store, peek
from rendezvous_core.protocol.node import Joined

_logger = logging.getLogger("rendezvous_core")


def store_prefix(run_id: str, joined: Joined) -> str:
    """Return the prefix of the keys of a round's store."""
    return f"rendezvous/{run_id}/{joined.round}/{joined.round_id}"


def forget_past_rounds(store: Store, run_id: str, joined: Joined) -> None:
    """Delete what was stored in rounds that are two or more behind ``joined``: nobody reads it any more.

    A participant of the round before may still be on its way out of it. To be called by rank 0 of the
    round; the rounds that still hold something are listed in the store itself, since rank 0 moves. What
    cannot be deleted now is left to the next round.
    """
    listing = f"rendezvous/{run_id}/rounds"
    try:
        rounds = [line.split(" ") for line in (peek(store, listing) or b"").decode().splitlines()]
        kept = [[str(joined.round), joined.round_id]]
        for number, round_id in rounds:
            if int(number) <= joined.round - 2:
                store.forget(f"rendezvous/{run_id}/{number}/{round_id}")
            else:
                kept.append([number, round_id])
        store.set(listing, "\n".join(map(" ".join, kept)))
    except RendezvousError as error:
        _logger.debug("What past rounds of the run %s stored is still there: %s", run_id, error)
