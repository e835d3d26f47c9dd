"""Nodes killed at every stage: who is left forms a group again."""

from pathlib import Path

import pytest

from tests.core.faults.groups import group


@pytest.fixture
def endpoint(tmp_path: Path) -> Path:
    return tmp_path / "rendezvous.db"


def test_a_node_killed_before_the_round_is_complete(endpoint: Path) -> None:
    with group(endpoint, 3, 3) as nodes:
        nodes.start(2)
        nodes.wait_until(lambda look: len(look.those("waiting")) == 2)
        nodes.kill(nodes.follower())
        nodes.start(2)
        nodes.wait_for_round(3)


def test_a_dead_ask_does_not_count(endpoint: Path) -> None:
    with group(endpoint, 3, 3) as nodes:
        nodes.start(2)
        nodes.wait_until(lambda look: len(look.those("waiting")) == 2)
        nodes.kill(nodes.follower())
        nodes.wait_until(lambda look: len(look.those("silent")) == 1)
        nodes.start(1)
        nodes.wait_until(lambda look: len(look.those("waiting")) == 2 and look.phase == "joining")
        nodes.start(1)
        assert nodes.wait_for_round(3)["round"] == 0


@pytest.mark.parametrize("size", [2, 4])
def test_a_participant_killed_in_its_round(endpoint: Path, size: int) -> None:
    with group(endpoint, 1, size) as nodes:
        nodes.start(size)
        before = nodes.wait_for_round()
        nodes.kill(nodes.follower())
        assert nodes.wait_for_round()["round"] > before["round"]


def test_a_spare_takes_the_place_of_a_killed_participant(endpoint: Path) -> None:
    with group(endpoint, 2, 2) as nodes:
        nodes.start(2)
        nodes.wait_for_round()
        participant = nodes.follower()
        nodes.start(1)
        nodes.wait_until(lambda look: len(look.those("waiting")) == 1)
        nodes.kill(participant)
        nodes.wait_for_round(2)


def test_the_coordinator_killed_while_nodes_are_missing(endpoint: Path) -> None:
    with group(endpoint, 3, 3) as nodes:
        nodes.start(2)
        nodes.wait_until(lambda look: len(look.those("waiting")) == 2)
        nodes.kill(nodes.coordinator())
        nodes.start(2)
        nodes.wait_for_round(3)


def test_the_coordinator_killed_in_last_call(endpoint: Path) -> None:
    with group(endpoint, 2, 4, last_call_timeout=4) as nodes:
        nodes.start(3)
        nodes.wait_until(lambda look: look.last_call)
        nodes.kill(nodes.coordinator())
        nodes.wait_for_round(2)


def test_the_coordinator_killed_in_its_round(endpoint: Path) -> None:
    with group(endpoint, 1, 4) as nodes:
        nodes.start(4)
        before = nodes.wait_for_round()
        nodes.kill(nodes.coordinator())
        assert nodes.wait_for_round(3)["round"] > before["round"]


def test_one_coordinator_after_the_other_killed(endpoint: Path) -> None:
    with group(endpoint, 1, 4) as nodes:
        nodes.start(4)
        for _ in range(3):
            nodes.wait_for_round()
            nodes.kill(nodes.coordinator())
        nodes.wait_for_round(1)


def test_several_killed_at_once(endpoint: Path) -> None:
    with group(endpoint, 2, 6) as nodes:
        nodes.start(6)
        nodes.wait_for_round()
        coordinator = nodes.coordinator()
        others = [node for node in nodes.alive if node is not coordinator]
        nodes.kill(coordinator, *others[:2])
        nodes.wait_for_round(3)


def test_all_killed_and_the_run_started_again(endpoint: Path) -> None:
    with group(endpoint, 2, 3) as nodes:
        nodes.start(3)
        before = nodes.wait_for_round()
        nodes.kill(*nodes.alive)
        nodes.start(3)
        assert nodes.wait_for_round(3)["round"] > before["round"]


def test_all_killed_while_they_wait_and_the_run_started_again(endpoint: Path) -> None:
    with group(endpoint, 3, 3) as nodes:
        nodes.start(2)
        nodes.wait_until(lambda look: len(look.those("waiting")) == 2)
        nodes.kill(*nodes.alive)
        nodes.start(3)
        nodes.wait_for_round(3)


def test_a_death_in_one_run_does_not_disturb_another(endpoint: Path) -> None:
    with group(endpoint, 1, 3, "ours") as ours, group(endpoint, 1, 3, "theirs") as theirs:
        ours.start(3)
        theirs.start(3)
        ours.wait_for_round(3)
        calm = theirs.wait_for_round(3)
        ours.kill(ours.coordinator())
        ours.wait_for_round(2)
        assert all(node.events[-1]["event"] == "joined" for node in theirs.alive)
        look = theirs.wait_until(lambda look: look.phase == "complete")
        assert look.round_id == calm["round_id"]
        assert len(look.those("active")) == 3
