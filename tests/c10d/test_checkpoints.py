"""A training under ``rdzv run`` whose data loader has workers saves its work whenever it is told to stop."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rendezvous_core.cli.exit_codes import ExitCode
from tests.core.cli.conftest import Rdzv, at_work

TRAIN = [sys.executable, str(Path(__file__).with_name("checkpointing.py"))]
CONTEXTS = ["fork", "spawn"]


@pytest.fixture
def rdzv(tmp_path: Path) -> Iterator[Rdzv]:
    with at_work(tmp_path) as program:
        yield program


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_checkpoint_is_saved_when_the_group_changes_and_when_the_node_is_stopped(
    rdzv: Rdzv, tmp_path: Path, context: str
) -> None:
    checkpoint = tmp_path / "checkpoint"
    conf = "--conf=last_call_timeout=0.5,keep_alive_max_attempt=60"
    train = [*TRAIN, context, str(checkpoint)]
    trains = rdzv.run("--nodes=1:2", "--grace=80", conf, command=train)
    trains.wait_for("output", text="trains")
    other = rdzv.run("--nodes=1:2", conf)
    trains.wait_for("restarting", reason="membership")
    trains.wait_for("output", text="saved")
    trains.wait_for("ended", exit_code=0)
    trains.wait_for("joined", world_size=2)
    trains.wait_for("output", text="trains")
    trains.send(signal.SIGTERM)
    trains.wait_for("output", text="saved")
    assert trains.wait() == ExitCode.TERMINATED
    assert len(checkpoint.read_text().splitlines()) == 2
    rdzv.open_gate()
    assert other.wait() == ExitCode.OK
