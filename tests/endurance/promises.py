"""Holds what nodes were told, and what the run's history says, against the promises."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]


@dataclass
class Found:
    """For each promise how often it was put to the test, and what broke it."""

    tried: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def demand(self, promise: str, holds: bool, what: object) -> None:
        self.tried[promise] = self.tried.get(promise, 0) + 1
        if not holds:
            self.broken.append(f"{promise}: {what}")


def examine(
    nodes: Iterable[Sequence[Event]], least: int, most: int, lost: Iterable[str], disturbed: frozenset[str]
) -> Found:
    """Hold all that any node was told against the promises.

    Args:
        nodes: for each process what it told, in order.
        least: the smallest world.
        most: the largest.
        lost: the nodes that the run's history calls lost.
        disturbed: the nodes that were killed, paused or cut off.
    """
    found = Found()
    rosters: defaultdict[str, dict[int, str]] = defaultdict(dict)
    facts: dict[str, tuple[int, int]] = {}
    numbers: dict[int, str] = {}
    for events in nodes:
        last = -1
        for event in events:
            if event["event"] != "joined":
                continue
            number, round_id, size, rank = (
                event[each] for each in ("round", "round_id", "world_size", "rank")
            )
            agreed = facts.setdefault(round_id, (number, size)) == (number, size)
            found.demand("agreement", agreed, event)
            holder = rosters[round_id].setdefault(rank, event["node"])
            found.demand("uniqueness of ranks", holder == event["node"] and 0 <= rank < size, event)
            found.demand("uniqueness of rounds", numbers.setdefault(number, round_id) == round_id, event)
            found.demand("fencing", event["holder"] == event["node"], event)
            found.demand("bounds", least <= size <= most, event)
            found.demand("finality", number > last, event)
            last = number
    for roster in rosters.values():
        found.demand("one rank a node", len(set(roster.values())) == len(roster), roster)
    for node in lost:
        found.demand("exclusivity", node in disturbed, f"{node} was lost, and nothing had befallen it")
    return found
