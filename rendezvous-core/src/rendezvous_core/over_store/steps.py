"""How the participants of a round agree on a step, through the store that they share."""

import time
from collections.abc import Callable

from rendezvous_core.plugins.loading import adapt_store
from rendezvous_core.ports.errors import RendezvousTimeoutError
from rendezvous_core.ports.store import Store, peek

_CALL = "rendezvous/steps/call"

_SLICE = 1.0
"""After how many seconds of waiting a participant looks whether that is of any use."""


def agree_step(
    store: Store,
    rank: int,
    world_size: int,
    step: int,
    *,
    wanted: bool = False,
    timeout: float = 60.0,
    called_off: Callable[[], bool] = lambda: False,
) -> int | None:
    """Agree with all participants of a round on one step, such as the one to save a checkpoint at.

    To be called by each before each of its steps (or before each n-th, if all do so): ``step`` is the one
    that it is about to make. Returns the step agreed on, which may be ahead, and the same from then on;
    ``None`` while nobody wants one. Without a need it costs one look at the store.

    Whoever ``wanted`` one calls for it; the next time each participant says how far it has got, and waits for
    the others: all of them come that far without anybody's doing its next step. The farthest step is the one.
    What a participant has said never changes, so that the result is the same for all who get one,
    whoever dies meanwhile.

    Args:
        store: the store of the round, of ours or of torch. One of torch is connected to anew by each
            call: give a `PrefixStore` over it, made once.
        called_off: whether waiting for the others is of no use any more, as the group has changed; then
            ``None`` is returned, and no step was agreed on here.

    Raises:
        RendezvousTimeoutError: not all have come in ``timeout`` seconds; names who is missing.
        RendezvousConnectionError: the store cannot be reached; calling again does no harm.
    """
    store = adapt_store(store)
    call = peek(store, _CALL)
    if call is None:
        if not wanted:
            return None
        # From the step after this one on: others may be in the midst of this one, and need us in it.
        call = store.compare_set(_CALL, "", str(step + 1))
    if step < int(call):
        return None
    keys = [f"rendezvous/steps/{each}" for each in range(world_size)]
    store.compare_set(keys[rank], "", str(step))
    deadline = time.monotonic() + timeout
    while True:
        try:
            store.wait(keys, min(_SLICE, max(0.001, deadline - time.monotonic())))
            return max(int(each) for each in store.multi_get(keys))
        except RendezvousTimeoutError as error:
            if called_off():
                return None
            if time.monotonic() >= deadline:
                missing = [str(each) for each, key in enumerate(keys) if peek(store, key) is None]
                raise RendezvousTimeoutError(
                    f"Rank {', '.join(missing)} of {world_size} did not say within {timeout:g} s how far it "
                    "has got; does each participant call agree_step before each of its steps?"
                ) from error
