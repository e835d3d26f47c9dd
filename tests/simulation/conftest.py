"""Options of the random schedules."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation")
    group.addoption(
        "--schedules",
        type=int,
        default=20_000,
        help="how many random schedules to play; each story is told a hundredth as often",
    )
    group.addoption("--rewrite", action="store_true", help="write the golden stories anew")
    group.addoption("--seed", type=int, default=0, help="the seed of the first one")
