"""The barrier at which torchrun's agents wait for each other at their end, without those who cannot come."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from torch.distributed.elastic.agent.server import api
from torch.distributed.elastic.utils.store import barrier

from rendezvous_c10d._torch_store import TorchStore
from rendezvous_c10d.torchrun.exiting import BARRIER, RoundStore
from rendezvous_core.sqlite import SqliteStore
from rendezvous_core.testing.suites.threads import is_blocked, start, together
from tests.c10d.agents import PART, PATIENCE, Job, until


class Round:
    """The agents of a round, each with its view of the store."""

    def __init__(self, path: str, size: int, patience: float) -> None:
        self.disturbed = False
        self.stores = [
            RoundStore(SqliteStore(path, "run"), size, lambda: self.disturbed, patience) for _ in range(size)
        ]

    def exits(self, number: int) -> Any:
        """What an agent calls whose workers have finished."""
        return lambda: barrier(TorchStore(self.stores[number]), len(self.stores), BARRIER, PATIENCE)


@pytest.fixture
def agents(tmp_path: Path) -> Round:
    return Round(str(tmp_path / "run.db"), 3, PATIENCE)


def test_it_is_torchs() -> None:
    assert api._TERMINAL_STATE_SYNC_ID == BARRIER


def test_all_finish(agents: Round) -> None:
    together([agents.exits(number) for number in range(3)], PATIENCE)
    assert not any(store.others_went_on for store in agents.stores)


def test_nobody_waits_for_who_has_left(agents: Round, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "rendezvous_c10d")
    waiting = [start(agents.exits(0)), start(agents.exits(1))]
    assert all(is_blocked(each, 0.2) for each in waiting)
    agents.stores[2].tell_gone(goes_on=False)
    for each in waiting:
        each.result(PATIENCE)
    assert not agents.stores[0].others_went_on
    assert "2 of 3 agents have finished" in caplog.text
    assert "1 have left" in caplog.text


def test_who_may_still_come_is_waited_for(agents: Round) -> None:
    """Of two others one has left, and one trains on."""
    waiting = start(agents.exits(0))
    agents.stores[2].tell_gone(goes_on=False)
    agents.disturbed = True
    assert is_blocked(waiting, 2.5)
    agents.exits(1)()
    waiting.result(PATIENCE)


def test_those_who_go_on_to_another_round_are_remembered(agents: Round) -> None:
    waiting = start(agents.exits(0))
    agents.stores[1].tell_gone(goes_on=True)
    agents.stores[2].tell_gone(goes_on=False)
    waiting.result(PATIENCE)
    assert agents.stores[0].others_went_on


def test_who_was_there_does_not_count_as_gone(agents: Round) -> None:
    """An agent that gets a signal at the barrier leaves, too."""
    waiting = [start(agents.exits(number)) for number in (0, 1)]
    assert all(is_blocked(each, 0.2) for each in waiting)
    agents.stores[1].tell_gone(goes_on=False)
    assert is_blocked(waiting[0], 1.5)
    agents.exits(2)()
    for each in waiting:
        each.result(PATIENCE)


def test_who_says_nothing_is_lost_in_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The handler knows that somebody is lost, but not who still trains: those tell in time."""
    agents = Round(str(tmp_path / "run.db"), 2, 0.1)
    waiting = start(agents.exits(0))
    assert is_blocked(waiting, 1.5)
    agents.disturbed = True
    waiting.result(PATIENCE)
    assert "1 are lost" in caplog.text


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    with ExitStack() as stack:
        job = Job(tmp_path, "sqlite", str(tmp_path / "run.db"), "2", keep_alive_interval=60)
        job.train = PART
        stack.callback(job.close)
        yield job


def test_an_agent_that_has_finished_does_not_wait_for_one_that_fails(job: Job) -> None:
    """It would for 300 seconds."""
    finishing, failing = job.start(2), job.start(3, "--max-restarts=0")
    job.wait_for_world(finishing, failing)
    job.order(f"finish-{finishing}")
    until(lambda: any("Waiting 300 seconds" in line for line in finishing.errors), "the exit barrier")
    job.order(f"fail-{failing}")
    assert failing.wait() == 1, job.report()
    assert finishing.wait() == 0, job.report()
    assert any("the exit barrier waits for nobody else" in line for line in finishing.errors), job.report()
