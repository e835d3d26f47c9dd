"""What is promised of queues: each item is delivered once, and the oldest first."""

from collections import Counter
from collections.abc import Sequence

from rendezvous_core.testing.linearizability.history import Operation

EMPTY = None
"""What `Store.queue_pop` answers where it finds nothing, in a history."""


def find_queue_violation(operations: Sequence[Operation]) -> tuple[str, list[Operation]] | None:
    """Return what was broken, and the operations that show it.

    No item is pushed twice, and somebody must have popped at the end until the queue was empty.
    """
    pushes = {each.arguments[0]: each for each in operations if each.method == "queue_push"}
    pops = [each for each in operations if each.method == "queue_pop" and each.is_known]
    lost_pops = [each for each in operations if each.method == "queue_pop" and not each.is_known]
    taken = {each.result: each for each in pops if each.result is not EMPTY}
    counts = Counter(each.result for each in pops if each.result is not EMPTY)
    for item, count in counts.items():
        shown = [pushes[item]] if item in pushes else []
        shown += [each for each in pops if each.result == item]
        if item not in pushes or taken[item].returned < pushes[item].called:
            return f"{item!r} was delivered though nobody had pushed it", shown
        if count > 1:
            return f"{item!r} was delivered {count} times", shown
    missing = [push for item, push in pushes.items() if push.is_known and item not in taken]
    # A pop of unknown outcome may have taken one item, and told nobody.
    if len(missing) > len(lost_pops):
        return f"{len(missing)} items were never delivered", [*missing, *lost_pops]
    return _find_passed_over(pushes, pops, taken)


def _find_passed_over(
    pushes: dict[bytes, Operation], pops: Sequence[Operation], taken: dict[bytes, Operation]
) -> tuple[str, list[Operation]] | None:
    """Find an item that was there, and was overtaken by a later one or not seen at all."""
    for item, push in pushes.items():
        if not push.is_known or item not in taken:
            continue
        taking = taken[item]
        for other in pops:
            if other.returned >= taking.called:
                continue
            if other.result is EMPTY:
                if push.returned < other.called:
                    return f"{item!r} was in the queue, which was told to be empty", [push, other, taking]
            elif push.returned < pushes[other.result].called:
                later = pushes[other.result]
                return f"{item!r} was overtaken by {other.result!r}", [push, later, other, taking]
    return None
