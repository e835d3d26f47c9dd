"""Every story holds, whatever the seed draws."""

import pytest

from tests.simulation.invariants import Violation
from tests.simulation.machine import Machine
from tests.simulation.scenarios import SCENARIOS, tell


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, pytestconfig: pytest.Config) -> None:
    # The default serves a run that does not name this folder, and so never heard of the option.
    for seed in range(pytestconfig.getoption("schedules", 20_000) // 100):
        tell(name, seed)


def test_a_clock_must_not_stand_still_while_its_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why drivers read a clock that counts sleep."""
    monkeypatch.setattr(Machine, "clock_stands", True)
    with pytest.raises(Violation, match=r"the dead do not count|freshness"):
        tell_often("machine_sleeps", 200)


def tell_often(name: str, seeds: int) -> None:
    for seed in range(seeds):
        tell(name, seed)
