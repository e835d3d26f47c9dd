"""What everybody reads does not grow with the group."""

import pytest

from tests.simulation.large import Cost, play


def assert_as_cheap(many: dict[str, Cost], few: dict[str, Cost], factor: float) -> None:
    for (what, cost), small in zip(many.items(), few.values(), strict=True):
        assert cost.bytes <= factor * small.bytes, what
    assert many["forms"].operations <= 8


def test_a_group_of_hundreds_costs_a_node_what_a_small_one_does() -> None:
    assert_as_cheap(play(300), play(64), 1.5)


@pytest.mark.thorough
@pytest.mark.timeout(3600)
def test_ten_thousand_cost_a_node_what_a_small_group_does() -> None:
    assert_as_cheap(play(10_000), play(64), 2.0)
