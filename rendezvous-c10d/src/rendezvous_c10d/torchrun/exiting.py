"""The barrier at which torchrun's agents wait for each other when their workers have finished."""

import logging
import time
from collections.abc import Callable, Sequence

from rendezvous_core import PrefixStore, RendezvousTimeoutError, Store
from rendezvous_core.ports.store import Timeout

BARRIER = "torchelastic/agent/terminal_state"
"""What torch calls it."""

_ARRIVED = f"{BARRIER}/num_members"
_COMPLETE = f"{BARRIER}/last_member"
_GONE = "torchrun/gone"
_WENT_ON = "torchrun/went on"

_SLICE = 1.0
"""After how many seconds of waiting an agent looks who can still come."""

_RESTART = 45.0
"""Seconds within which agents that live have stopped their workers and told that they go on: torchrun takes
30 at most before it kills them."""

_logger = logging.getLogger("rendezvous_c10d")


class RoundStore(PrefixStore):
    """The store of a round, as an agent holds it, whose exit barrier waits for nobody who cannot come.

    torch's barrier counts who arrives, for 300 seconds: an agent that has failed for good, or was killed,
    never does. So agents that leave a round, or go on to another one, count as well; one that was
    killed is taken for gone once the others had time to tell.

    Args:
        store: the store of the round.
        world_size: how many agents the round has.
        is_disturbed: whether somebody is lost, or waits for another round.
        patience: see ``_RESTART``.
    """

    def __init__(
        self, store: Store, world_size: int, is_disturbed: Callable[[], bool], patience: float = _RESTART
    ) -> None:
        super().__init__("agents", store)
        self._round = store
        self._world_size = world_size
        self._is_disturbed = is_disturbed
        self._patience = patience
        self._has_arrived = False
        self.others_went_on = False
        """Whether the barrier has ended without agents that are in another round by now."""

    def tell_gone(self, *, goes_on: bool) -> None:
        """Tell the others that this agent will not arrive at the barrier, unless it has."""
        if not self._has_arrived:
            self._has_arrived = True
            if goes_on:
                self._round.set(_WENT_ON, b"1")
            self._round.add(_GONE, 1)

    def add(self, key: str, amount: int) -> int:
        """See base class."""
        self._has_arrived = self._has_arrived or key == _ARRIVED
        return super().add(key, amount)

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class. At the exit barrier it ends too when nobody else can come."""
        if list(keys) != [_COMPLETE]:
            super().wait(keys, timeout)
            return
        limit = self._limit(timeout)
        deadline = time.monotonic() + limit
        disturbed_at: float | None = None
        while True:
            try:
                super().wait(keys, min(_SLICE, max(0.0, deadline - time.monotonic())))
            except RendezvousTimeoutError:
                now = time.monotonic()
                disturbed_at = (disturbed_at or now) if self._is_disturbed() else None
                if self._is_over(disturbed_at is not None and now - disturbed_at >= self._patience):
                    return
                if now >= deadline:
                    raise
            else:
                return

    def _is_over(self, silent_are_lost: bool) -> bool:
        arrived = int(super().add(_ARRIVED, 0))
        gone, went_on = self._round.peek_all([_GONE, _WENT_ON])
        missing = self._world_size - arrived - int(gone or 0)
        if missing > 0 and not silent_are_lost:
            return False
        self.others_went_on = went_on is not None
        _logger.warning(
            "%d of %d agents have finished; the exit barrier waits for nobody else: %d have left or gone on "
            "to another round, %d are lost.",
            arrived,
            self._world_size,
            int(gone or 0),
            max(0, missing),
        )
        return True
