"""The search of Wing and Gong, with Lowe's memory."""

from collections.abc import Iterator, Sequence

from rendezvous_core.testing.linearizability.history import Operation
from rendezvous_core.testing.linearizability.models import Model, Value

PLACES = 300_000
"""How many places a search visits before it gives up."""


class UndecidedError(Exception):
    """A history has too many operations at the same time, or of unknown outcome, to be judged."""


def is_linearizable(operations: Sequence[Operation], model: Model, places: int = PLACES) -> bool:
    """Whether there is an order that explains every answer, where there is no value at first.

    Raises:
        UndecidedError: it was not found out within so many ``places``.
    """
    history = sorted(operations, key=lambda each: each.called)
    needed = sum(1 << index for index, each in enumerate(history) if each.is_known)
    # A place is what has happened so far, as bits, and the value that then stands.
    ahead: list[tuple[int, Value]] = [(0, None)]
    visited: set[tuple[int, Value]] = set()
    while ahead:
        place = ahead.pop()
        if place[0] & needed == needed:
            return True
        if place in visited:
            continue
        visited.add(place)
        if len(visited) > places:
            raise UndecidedError(
                f"A history of {len(history)} operations is too much to be judged: have fewer at a time."
            )
        ahead.extend(_steps(history, model, *place))
    return False


def _steps(
    history: Sequence[Operation], model: Model, done: int, value: Value
) -> Iterator[tuple[int, Value]]:
    """The places that one more operation leads to, those last that are to be tried first."""
    known, unknown = [], []
    for index, each in _next(history, done):
        after, answer = model(value, each)
        place = done | 1 << index, after
        if each.is_known:
            if answer != each.result:
                continue
            if after == value:
                # What tells the truth and changes nothing stands in nobody's way.
                return iter([place])
            known.append((each.returned, place))
        elif after != value:
            unknown.append(place)
    known.sort(key=lambda each: -each[0])
    return iter([*unknown, *(place for _, place in known)])


def _next(history: Sequence[Operation], done: int) -> list[tuple[int, Operation]]:
    """What can happen next: whatever was called before anything else that has not happened had returned."""
    first = (~done & (done + 1)).bit_length() - 1
    soonest, candidates = float("inf"), []
    for index in range(first, len(history)):
        each = history[index]
        if each.called > soonest:
            break
        if not done >> index & 1:
            soonest = min(soonest, each.returned)
            candidates.append((index, each))
    return [(index, each) for index, each in candidates if each.called <= soonest]
