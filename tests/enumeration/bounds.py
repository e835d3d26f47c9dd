"""What is enumerated: in the gate, and beyond it for as long as there is time."""

from tests.enumeration.scenes import DEATHS, KINDS, LOSSES, MESSAGES, Bounds

GATE: list[Bounds] = [
    Bounds(nodes=2, faults=1, kinds=DEATHS, until=1, end=20),
    Bounds(nodes=2, faults=1, kinds=MESSAGES, until=2, end=8),
    Bounds(nodes=2, faults=1, kinds=LOSSES, until=1, end=8),
    Bounds(nodes=3, faults=0, kinds=frozenset(), until=0, end=12),
    Bounds(nodes=3, faults=1, kinds=frozenset(["crash"]), until=0, end=4),
]
"""Half a minute of one processor."""

BEYOND: list[Bounds] = [
    *(Bounds(nodes=2, faults=1, kinds=frozenset([kind]), until=8, end=24) for kind in sorted(KINDS)),
    *(Bounds(nodes=3, faults=1, kinds=frozenset([kind]), until=1, end=20) for kind in sorted(KINDS)),
    *(Bounds(nodes=2, faults=2, kinds=kinds, until=2, end=20) for kinds in (DEATHS, MESSAGES, LOSSES)),
    Bounds(nodes=2, faults=2, kinds=KINDS, until=2, end=20),
    Bounds(nodes=3, faults=2, kinds=KINDS, until=2, end=20),
]
"""From small to large: the last ones are never done with."""
