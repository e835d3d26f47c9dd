"""Nodes that are to go: by ``rdzv drain``, or by SIGTERM where that was asked for."""

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from rendezvous_core import RendezvousError, notice_from_env
from rendezvous_core.cli.exit_codes import ExitCode
from tests.core.cli.conftest import COMMAND, CONF, Rdzv, pair, wait_until_up
from tests.core.processes import EventProcess

STEPPING = [sys.executable, str(Path(__file__).with_name("stepping.py"))]
STUBBORN = [*COMMAND, "--stubborn"]


def start(rdzv: Rdzv, number: int, folder: Path, *options: str) -> list[EventProcess]:
    """Nodes that step together."""
    conf = f"{CONF},keep_alive_interval=0.5,last_call_timeout=2"
    command = [*STEPPING, str(folder)]
    nodes = [
        rdzv.run(f"--nodes=1:{number}", f"--conf={conf}", *options, command=command) for _ in range(number)
    ]
    for node in nodes:
        node.wait_for("joined", world_size=number)
        node.wait_for("output", stream="stdout")
    return nodes


def saved(folder: Path) -> dict[str, set[str]]:
    """The steps of the checkpoints of each round."""
    steps: dict[str, set[str]] = {}
    for checkpoint in folder.glob("checkpoint-*"):
        steps.setdefault(checkpoint.name.split("-")[1], set()).add(checkpoint.read_text())
    return steps


def node_id(node: EventProcess) -> str:
    return str(next(event["node"] for event in node.events if event["event"] == "joined"))


def test_all_save_the_same_step_and_the_others_go_on(rdzv: Rdzv, tmp_path: Path) -> None:
    nodes = start(rdzv, 3, tmp_path)
    goes, *stay = nodes
    done = rdzv.call("drain", node_id(goes)[:8], "--deadline=600", "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    assert json.loads(done.stdout)["draining"] == [node_id(goes)]
    told = [node.wait_for("drains") for node in nodes]
    assert len({event["rank"] for event in told}) == 1
    assert goes.wait() == ExitCode.OK
    assert "drained" in goes.events[-1]["text"]
    for node in stay:
        node.wait_for("joined", world_size=2)
        node.wait_for("output", stream="stdout")
    assert len(list(tmp_path.glob("checkpoint-*"))) == 3
    assert [len(steps) for steps in saved(tmp_path).values()] == [1]
    for node in stay:
        node.send(signal.SIGTERM)
        assert node.wait() == ExitCode.TERMINATED


def test_a_node_that_gets_sigterm_drains_where_that_is_asked_for(rdzv: Rdzv, tmp_path: Path) -> None:
    goes, stays = start(rdzv, 2, tmp_path, "--drain=600")
    goes.send(signal.SIGTERM)
    stays.wait_for("drains")
    assert goes.wait() == ExitCode.TERMINATED
    stays.wait_for("joined", world_size=1)
    assert [len(steps) for steps in saved(tmp_path).values()] == [1]
    assert len(list(tmp_path.glob("checkpoint-*"))) == 2
    stays.send(signal.SIGTERM)
    stays.wait_for("drains")
    stays.send(signal.SIGTERM)
    assert stays.wait() == ExitCode.TERMINATED


@pytest.mark.parametrize(
    ("victim", "when"),
    [
        ("stays", "agreed"),
        ("goes", "asked"),
        pytest.param("stays", "asked", marks=pytest.mark.thorough),
        pytest.param("goes", "agreed", marks=pytest.mark.thorough),
    ],
)
def test_who_is_killed_meanwhile_leaves_no_checkpoint_of_another_step(
    rdzv: Rdzv, tmp_path: Path, victim: str, when: str
) -> None:
    """Killed before it has said how far it is, or when all know the step and it has not saved yet."""
    goes, *stay = start(rdzv, 3, tmp_path)
    killed = goes if victim == "goes" else stay[0]
    joined = next(event for event in reversed(killed.events) if event["event"] == "joined")
    (tmp_path / f"die-{when}-{joined['rank']}").touch()
    assert rdzv.call("drain", node_id(goes), "--deadline=600").returncode == ExitCode.OK
    assert killed.wait() == -signal.SIGKILL
    (tmp_path / f"die-{when}-{joined['rank']}").unlink()
    left = [node for node in stay if node is not killed]
    for node in left:
        node.wait_for("joined", world_size=len(left))
        node.wait_for("output", stream="stdout")
    assert [len(steps) for steps in saved(tmp_path).values()] == [1] * (when == "agreed")
    for node in left:
        node.send(signal.SIGTERM)
        assert node.wait() == ExitCode.TERMINATED


def test_a_command_that_does_not_heed_it_is_told_to_end_in_time(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=1", "--drain=3", "--grace=1", command=STUBBORN)
    wait_until_up(node)
    node.send(signal.SIGTERM)
    node.wait_for("output", text="ignores SIGTERM")
    node.wait_for("ended", exit_code=-signal.SIGKILL)
    assert node.wait() == ExitCode.TERMINATED


def test_a_failure_under_a_notice_uses_up_no_restart(rdzv: Rdzv) -> None:
    goes, stays = pair(rdzv)
    assert rdzv.call("drain", node_id(goes), "--deadline=600").returncode == ExitCode.OK
    stays.wait_for("drains")
    assert [node["node"] for node in rdzv.status()["nodes"] if node["draining"]] == [node_id(goes)]
    assert rdzv.call("status").stdout.count("to go") == 1
    pid = next(event["pid"] for event in reversed(stays.events) if event["event"] == "started")
    os.kill(pid, signal.SIGKILL)
    stays.wait_for("joined", world_size=1)
    wait_until_up(stays)
    assert goes.wait() == ExitCode.OK
    rdzv.open_gate()
    assert stays.wait() == ExitCode.OK


def test_all_nodes_of_a_host_drain_also_those_that_wait(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=2")
    node.wait_for("waiting")
    assert rdzv.call("drain", f"--host={socket.gethostname()}").returncode == ExitCode.OK
    assert node.wait() == ExitCode.OK
    assert "drains" in node.events[-1]["text"]


def test_who_is_meant_must_be_certain(rdzv: Rdzv) -> None:
    assert rdzv.call("drain", "x").returncode == ExitCode.NO_RUN
    node = rdzv.run("--nodes=1")
    wait_until_up(node)
    for arguments in ([], [node_id(node), "--host=h"]):
        done = rdzv.call("drain", *arguments)
        assert done.returncode == ExitCode.USAGE
        assert "NODE, as rdzv status shows it, or --host" in done.stderr
    done = rdzv.call("drain", "--host=elsewhere")
    assert done.returncode == ExitCode.USAGE
    assert f"no node of the host 'elsewhere'; there is {node_id(node)[:8]}" in done.stderr
    rdzv.open_gate()
    assert node.wait() == ExitCode.OK


def test_a_program_that_was_not_started_by_rdzv_is_told_so() -> None:
    with pytest.raises(RendezvousError, match="rdzv run"):
        notice_from_env({})
