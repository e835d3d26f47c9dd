"""Every story holds, whatever the seed draws."""

import pytest

from tests.simulation.scenarios import SCENARIOS, tell


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, pytestconfig: pytest.Config) -> None:
    # The default serves a run that does not name this folder, and so never heard of the option.
    for seed in range(pytestconfig.getoption("schedules", 20_000) // 100):
        tell(name, seed)
