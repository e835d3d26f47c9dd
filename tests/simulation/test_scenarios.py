"""Every story holds, whatever the seed draws."""

import pytest

from tests.simulation.scenarios import SCENARIOS, tell


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    for seed in range(200):
        tell(name, seed)
