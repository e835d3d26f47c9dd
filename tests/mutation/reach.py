"""What is played against each mutant of the protocol: every story, some random schedules, some decisions."""

import pytest
from hypothesis import settings

from tests.simulation.attacks import Attack
from tests.simulation.scenarios import SCENARIOS, tell
from tests.simulation.schedules import play
from tests.simulation.test_decision import Decisions


@pytest.mark.parametrize("name", SCENARIOS)
def test_story(name: str) -> None:
    for seed in range(2):
        tell(name, seed)


@pytest.mark.parametrize("seed", range(0, 60, 10))
def test_schedules(seed: int) -> None:
    for each in range(seed, seed + 10):
        play(each)


def test_attacks() -> None:
    for seed in range(5):
        Attack(seed).run()


Decisions.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDecisions = Decisions.TestCase
