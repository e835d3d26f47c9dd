"""From a history that cannot be true to the shortest part of it that cannot."""

import time
from collections.abc import Sequence

from rendezvous_core.testing.linearizability.history import LOOKS, Operation
from rendezvous_core.testing.linearizability.models import Model
from rendezvous_core.testing.linearizability.search import PLACES, UndecidedError, is_linearizable

_TRIAL = 1_000
"""How many places a trial may visit: what takes longer is not left out."""

_PATIENCE = 5.0
"""After how many seconds what was found is short enough."""


def find_violation(operations: Sequence[Operation], model: Model) -> list[Operation]:
    """Return operations whose answers contradict each other, as few as were found; none if all can be true.

    What is left out matters to none that is shown: the rest cannot be explained whatever the former did.
    Of the operations left out, writes that the rest speaks of are shown as of unknown outcome.

    Raises:
        UndecidedError: the history is too much to be judged.
    """
    history = [each for each in operations if each.is_known or each.method not in LOOKS]
    if is_linearizable(history, model):
        return []
    history = _shortest_beginning(history, model)
    deadline = time.monotonic() + _PATIENCE
    # First what can be left out altogether: each write left out is one more that may have happened or not.
    for each in sorted(history, key=lambda each: (each.method not in LOOKS, each.called)):
        if each.is_known and time.monotonic() < deadline:
            without = [other for other in history if other is not each]
            if each.method not in LOOKS:
                without.append(each.forgotten())  # what it may have written can still be read
            if not _holds(without, model, _TRIAL):
                history = without
    known = [each for each in history if each.is_known]
    return [each for each in history if each.is_known or _is_told_of(each, known)]


def _shortest_beginning(history: Sequence[Operation], model: Model) -> list[Operation]:
    """The history up to the first answer that cannot be true; what was under way then is unknown."""
    returns = sorted(each.returned for each in history if each.is_known)
    low, high = 0, len(returns) - 1
    while low < high:
        middle = (low + high) // 2
        if _holds(_until(history, returns[middle]), model, PLACES):
            low = middle + 1
        else:
            high = middle
    return _until(history, returns[low])


def _until(history: Sequence[Operation], moment: float) -> list[Operation]:
    begun = [
        each if each.returned <= moment else each.forgotten() for each in history if each.called <= moment
    ]
    return [each for each in begun if each.is_known or each.method not in LOOKS]


def _holds(history: Sequence[Operation], model: Model, places: int) -> bool:
    try:
        return is_linearizable(history, model, places)
    except UndecidedError:
        return True


def _is_told_of(write: Operation, known: Sequence[Operation]) -> bool:
    """Whether somebody was told, or speaks, of the very bytes that ``write`` may have written."""
    own = [each for each in write.arguments if isinstance(each, bytes) and each]
    if write.method == "compare_set":
        own = own[-1:]
    elif write.method == "set_state":
        own = own[:1]
    told = repr([(each.result, each.arguments) for each in known])
    return any(repr(each)[2:-1] in told for each in own)
