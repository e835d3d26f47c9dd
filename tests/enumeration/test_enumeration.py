"""Small worlds, whole: every order of events within bounds, not a sample of them."""

import time

import pytest

from tests.enumeration.__main__ import HEAD, row, rows
from tests.enumeration.bounds import BEYOND, GATE
from tests.enumeration.promises import Violation
from tests.enumeration.scenes import Bounds
from tests.enumeration.search import Counts, search
from tests.simulation.bites import BITES, take_out
from tests.support.pages import standing

AN_HOUR = 3600.0
BITING = [
    ("Rule 1: a used ticket is spent", "pause", 20),
    ("Rule 4: absence is silence, not death", "members lost", 8),
    ("Rule 10: a state that stands still makes others take over", "crash", 8),
    ("Rule 15: every wait is capped", "wake-up lost", 4),
]
"""A rule, the fault that it is for, and the last moment of which every order is tried."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bounds", GATE, ids=lambda bounds: heading(bounds).strip("| "))
def test_every_order_keeps_the_promises(bounds: Bounds) -> None:
    assert search(bounds).whole
    assert heading(bounds) in standing("protocol.md", "enumeration"), "python -m tests.enumeration --write"


@pytest.mark.parametrize(("rule", "kind", "end"), BITING)
def test_enumeration_misses_a_rule(rule: str, kind: str, end: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (bite,) = [bite for bite in BITES if bite.rule == rule]
    take_out(monkeypatch, bite)
    with pytest.raises(Violation):
        search(Bounds(nodes=2, faults=1, kinds=frozenset([kind]), until=1, end=end))


@pytest.mark.thorough
@pytest.mark.timeout(3600)
def test_docs_tell_how_much_is_tried() -> None:
    assert standing("protocol.md", "enumeration") == HEAD + "".join(rows()), (
        "python -m tests.enumeration --write"
    )


@pytest.mark.thorough
@pytest.mark.timeout(3 * AN_HOUR)
def test_larger_worlds_keep_the_promises() -> None:
    deadline = time.monotonic() + AN_HOUR
    for bounds in BEYOND:
        if time.monotonic() < deadline:
            search(bounds, deadline)


def heading(bounds: Bounds) -> str:
    return row(bounds, Counts(0, 0)).removesuffix("0 | 0 |\n")
