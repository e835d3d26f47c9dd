"""The protocol under random schedules: ``--schedules N`` plays N of them, ``--seed S`` starts at S."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.schedules import fails, play

ROOT = Path(__file__).parents[2]
REPLAY = """
import json, sys
from tests.simulation.schedules import play
print(json.dumps(play(int(sys.argv[1]))))
"""


@pytest.mark.timeout(3600)
def test_every_invariant_holds_under_random_schedules(pytestconfig: pytest.Config) -> None:
    # The defaults serve a run that does not name this folder, and so never heard of its options.
    first, count = pytestconfig.getoption("seed", 0), pytestconfig.getoption("schedules", 20_000)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for failure in pool.imap_unordered(fails, range(first, first + count), chunksize=50):
            if failure:
                pytest.fail(failure, pytrace=False)


@pytest.mark.parametrize("seed", [1, 12, 123])
def test_a_seed_replays_exactly_in_another_process(seed: int) -> None:
    replayed = subprocess.run(
        [sys.executable, "-c", REPLAY, str(seed)],
        env=os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert json.loads(replayed.stdout) == play(seed)
