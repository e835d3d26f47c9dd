"""The protocol under random schedules: ``--schedules N`` plays N of them, ``--seed S`` starts at S."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.invariants import Violation
from tests.simulation.schedules import play

ROOT = Path(__file__).parents[2]


def _failure(seed: int) -> str | None:
    try:
        play(seed)
    except Violation as violation:
        return str(violation)
    return None


@pytest.mark.timeout(3600)
def test_every_invariant_holds_under_random_schedules(pytestconfig: pytest.Config) -> None:
    first = pytestconfig.getoption("seed")
    seeds = range(first, first + pytestconfig.getoption("schedules"))
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for failure in pool.imap_unordered(_failure, seeds, chunksize=50):
            if failure:
                pytest.fail(failure, pytrace=False)


@pytest.mark.parametrize("seed", [1, 12, 123])
def test_a_seed_replays_exactly_in_another_process(seed: int) -> None:
    program = "import json, sys; from tests.simulation.schedules import play; print(json.dumps(play(int(sys.argv[1]))))"
    replayed = subprocess.run(
        [sys.executable, "-c", program, str(seed)],
        env=os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert json.loads(replayed.stdout) == play(seed)
