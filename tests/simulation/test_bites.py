"""The simulation bites: without any one of its rules, the protocol breaks in a scenario.

Each row takes one rule out of the code and names the story that must then fail. Rules of the
protocol that no story needs do not stay in it.
"""

import pytest

from tests.simulation.bites import BITES, Bite, take_out
from tests.simulation.bites.details import DETAILS
from tests.simulation.invariants import Violation
from tests.simulation.scenarios import tell


@pytest.mark.parametrize("bite", BITES, ids=lambda bite: bite.rule.replace(" ", "-"))
def test_rule_is_needed(bite: Bite, monkeypatch: pytest.MonkeyPatch) -> None:
    take_out(monkeypatch, bite)
    with pytest.raises(Violation):
        tell_often(bite.story.__name__)


@pytest.mark.parametrize("bite", DETAILS, ids=lambda bite: bite.rule.replace(" ", "-"))
def test_detail_is_needed(bite: Bite, monkeypatch: pytest.MonkeyPatch) -> None:
    bite.story()
    take_out(monkeypatch, bite)
    with pytest.raises((AssertionError, StopIteration, pytest.fail.Exception)):
        bite.story()


def tell_often(name: str) -> None:
    for seed in range(200):
        tell(name, seed)
