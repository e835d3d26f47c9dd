"""Nodes stopped with SIGSTOP for longer than they may be silent, and continued."""

import signal
from pathlib import Path

import pytest

from tests.core.faults.groups import Group, group
from tests.core.processes import EventProcess


@pytest.fixture
def endpoint(tmp_path: Path) -> Path:
    return tmp_path / "rendezvous.db"


def pause(nodes: Group, node: EventProcess) -> None:
    """Stop a node; it is out of the count of the living."""
    node.send(signal.SIGSTOP)
    nodes.alive.remove(node)


def resume(nodes: Group, node: EventProcess) -> None:
    node.send(signal.SIGCONT)
    nodes.alive.append(node)


@pytest.mark.parametrize("who", ["coordinator", "follower"])
def test_a_paused_participant_is_replaced_and_comes_back(endpoint: Path, who: str) -> None:
    with group(endpoint, 1, 3) as nodes:
        nodes.start(3)
        nodes.wait_for_round(3)
        paused = nodes.coordinator() if who == "coordinator" else nodes.follower()
        pause(nodes, paused)
        between = nodes.wait_for_round(2)
        resume(nodes, paused)
        after = nodes.wait_for_round(3)
        assert after["round"] > between["round"]


@pytest.mark.parametrize("who", ["coordinator", "follower"])
def test_a_paused_ask_does_not_count_until_its_node_beats_again(endpoint: Path, who: str) -> None:
    with group(endpoint, 3, 3) as nodes:
        nodes.start(2)
        nodes.wait_until(lambda look: len(look.those("waiting")) == 2)
        paused = nodes.coordinator() if who == "coordinator" else nodes.follower()
        pause(nodes, paused)
        nodes.wait_until(lambda look: len(look.those("silent")) == 1)
        nodes.start(1)
        look = nodes.wait_until(lambda look: len(look.those("waiting")) == 2)
        assert look.phase == "joining"
        resume(nodes, paused)
        nodes.wait_for_round(3)


def test_a_whole_group_paused_at_once_goes_on_together(endpoint: Path) -> None:
    """As a suspended machine: nobody has seen anybody miss a heartbeat."""
    with group(endpoint, 1, 3) as nodes:
        members = nodes.start(3)
        before = nodes.wait_for_round(3)
        for node in members:
            node.send(signal.SIGSTOP)
        nodes.wait_until(lambda look: len(look.those("silent")) == 3)
        for node in members:
            node.send(signal.SIGCONT)
        look = nodes.wait_until(lambda look: len(look.those("active")) == 3)
        assert look.round_id == before["round_id"]


def test_a_paused_participant_comes_back_to_find_everybody_dead(endpoint: Path) -> None:
    with group(endpoint, 1, 2) as nodes:
        nodes.start(2)
        nodes.wait_for_round(2)
        paused = nodes.follower()
        pause(nodes, paused)
        nodes.wait_for_round(1)
        nodes.kill(*nodes.alive)
        resume(nodes, paused)
        nodes.wait_for_round(1)
