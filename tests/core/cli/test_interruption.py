"""Signals to ``rdzv run``, and its sudden death."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rendezvous_core.cli.exit_codes import ExitCode
from tests.core.cli.conftest import COMMAND, Rdzv, pair, wait_until_up
from tests.core.processes import PATIENCE, Event, EventProcess, wait_for_end

STUBBORN = [*COMMAND, "--stubborn"]


def command_pid(node: EventProcess) -> int:
    """The process id of the command that a node started last."""
    started = [event["pid"] for event in node.events if event["event"] == "started"]
    return int(started[-1])


def wait_for_helper(node: EventProcess) -> int:
    """Wait until a command and its helper are up; return the process id of the helper."""
    told: dict[str, str] = {}
    while not told.keys() >= {"up", "helper"}:
        words = [*node.wait_for("output")["text"].split(), ""]
        told[words[0]] = words[1]
    return int(told["helper"])


def wait_for_round(group: EventProcess, number: int, size: int) -> list[Event]:
    """Wait until all nodes are at work in a round; return how they told that they have joined it."""

    def joined() -> list[Event]:
        return [each for each in group.events if each["event"] == "joined" and each["round"] == number]

    def is_up(event: Event) -> bool:
        return bool(re.fullmatch(rf"up \d+ of {size} in {number}", event["text"]))

    group.wait_until(lambda told: len(joined()) == sum(map(is_up, told)) == size)
    return joined()


def exits(group: EventProcess) -> list[Event]:
    """How nodes told that they end."""
    return [each for each in group.events if each["event"] == "exit"]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    "moment",
    [
        "rendezvous_core.cli.invocation",
        "click",
        "rendezvous_core.cli.agent",
        "rendezvous_core.sqlite.backend",
        "rich.console",
    ],
)
def test_ctrl_c_is_quiet_from_the_start(rdzv: Rdzv, moment: str) -> None:
    """However early: before the command line is there, while it loads, and while it connects."""
    script = (
        "import os, signal, sys\n"
        "def look(event, arguments):\n"
        f"    if event == 'import' and arguments[0] == {moment!r}:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.addaudithook(look)\n"
        "from rendezvous_core.cli.entry import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *("doctor" if "rich" in moment else "run --nodes=2 -- true").split()],
        env={**os.environ, **rdzv.environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode in (-signal.SIGINT, ExitCode.INTERRUPTED)  # which shells show alike
    assert done.stderr.strip() == ""


def test_one_of_four_is_interrupted_and_three_go_on(rdzv: Rdzv) -> None:
    group = rdzv.run("--spawn=4")
    first = wait_for_round(group, 0, 4)
    one = next(node for node in rdzv.status()["nodes"] if node["rank"] == 2)
    interrupted = next(event for event in first if event["node"] == one["node"])
    os.kill(one["pid"], signal.SIGINT)
    others = wait_for_round(group, 1, 3)
    assert sorted(event["rank"] for event in others) == [0, 1, 2]
    assert interrupted["local_rank"] not in {event["local_rank"] for event in others}
    rdzv.open_gate()
    assert group.wait() == ExitCode.INTERRUPTED
    (left,) = [each for each in exits(group) if each["local_rank"] == interrupted["local_rank"]]
    assert left["code"] == ExitCode.INTERRUPTED
    codes = group.events[-1]["node_exit_codes"]
    assert codes.pop(interrupted["local_rank"]) == ExitCode.INTERRUPTED
    assert codes == [0, 0, 0]
    assert rdzv.status()["phase"] == "closed"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED),
        (signal.SIGTERM, ExitCode.TERMINATED),
        (signal.SIGHUP, ExitCode.HUNG_UP),
    ],
)
def test_a_node_that_is_told_to_end_leaves_without_closing(
    rdzv: Rdzv, number: signal.Signals, code: ExitCode
) -> None:
    goes, stays = pair(rdzv)
    goes.send(number)
    assert goes.wait() == code
    wait_for_end(command_pid(goes))
    stays.wait_for("joined", world_size=1)
    rdzv.open_gate()
    assert stays.wait() == ExitCode.OK


def test_a_node_that_waits_can_be_told_to_end(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=2")
    node.wait_for("waiting")
    node.send(signal.SIGTERM)
    assert node.wait() == ExitCode.TERMINATED
    assert rdzv.status()["nodes"] == []


def test_the_command_may_take_its_time_but_not_for_ever(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=1", "--grace=1", command=STUBBORN)
    wait_until_up(node)
    node.send(signal.SIGTERM)
    node.wait_for("output", text="ignores SIGTERM")
    node.wait_for("ended", exit_code=-signal.SIGKILL)
    assert node.wait() == ExitCode.TERMINATED


def test_a_second_interrupt_does_not_wait(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=1", "--grace=1000", command=STUBBORN)
    wait_until_up(node)
    node.send(signal.SIGINT)
    node.wait_for("output", text="ignores SIGINT")
    node.send(signal.SIGINT)
    node.wait_for("ended", exit_code=-signal.SIGKILL)
    assert node.wait() == ExitCode.INTERRUPTED


def test_other_signals_reach_the_command_which_goes_on(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=1")
    wait_until_up(node)
    node.send(signal.SIGUSR1)
    node.wait_for("output", text="got SIGUSR1")
    rdzv.open_gate()
    assert node.wait() == ExitCode.OK


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_signals_are_for_the_command_and_not_for_its_helpers(rdzv: Rdzv, number: signal.Signals) -> None:
    node = rdzv.run("--nodes=1", "--grace=1000", command=[*STUBBORN, "--with-helper"])
    helper = wait_for_helper(node)
    node.send(number)
    node.wait_for("output", text=f"{'got' if number is signal.SIGUSR1 else 'ignores'} {number.name}")
    assert is_alive(helper)
    rdzv.open_gate()
    assert node.wait() == (ExitCode.OK if number is signal.SIGUSR1 else ExitCode.TERMINATED)
    wait_for_end(helper)


def test_a_wrapper_may_have_signals_for_all_that_it_starts(rdzv: Rdzv) -> None:
    group = rdzv.run("--spawn=1", "--signal-group", command=[*COMMAND, "--with-helper"])
    helper = wait_for_helper(group)
    group.send(signal.SIGUSR1)
    group.wait_for("output", text="got SIGUSR1")
    wait_for_end(helper)
    rdzv.open_gate()
    assert group.wait() == ExitCode.OK


def test_all_nodes_of_a_spawn_end_with_it(rdzv: Rdzv) -> None:
    group = rdzv.run("--spawn=2")
    for _ in range(2):
        wait_until_up(group)
    group.send(signal.SIGINT)
    assert group.wait() == ExitCode.INTERRUPTED
    assert group.events[-1]["node_exit_codes"] == [ExitCode.INTERRUPTED] * 2


def test_one_node_can_be_interrupted_where_the_script_around_ignores_that(rdzv: Rdzv) -> None:
    """As in the background of a shell script, where SIGINT is ignored from the start."""
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        group = rdzv.run("--spawn=2")
    finally:
        signal.signal(signal.SIGINT, former)
    for _ in range(2):
        wait_until_up(group)
    group.send(signal.SIGINT)
    os.kill(rdzv.status()["nodes"][0]["pid"], signal.SIGINT)
    wait_for_round(group, 1, 1)
    rdzv.open_gate()
    assert group.wait() == ExitCode.INTERRUPTED
    assert ExitCode.INTERRUPTED in [each["code"] for each in exits(group)]
    assert sorted(group.events[-1]["node_exit_codes"]) == [ExitCode.OK, ExitCode.INTERRUPTED]


def test_signals_reach_the_commands_of_a_spawn(rdzv: Rdzv) -> None:
    group = rdzv.run("--spawn=2")
    for _ in range(2):
        wait_until_up(group)
    group.send(signal.SIGUSR1)
    assert {group.wait_for("output", text="got SIGUSR1")["local_rank"] for _ in range(2)} == {0, 1}
    rdzv.open_gate()
    assert group.wait() == ExitCode.OK


def test_the_command_does_not_survive_a_killed_node(rdzv: Rdzv, tmp_path: Path) -> None:
    """Nor does what it was told by."""
    command = [*COMMAND, "--stubborn", "--with-helper"]
    node = rdzv.run("--nodes=1", command=command, TMPDIR=str(tmp_path))
    helper = wait_for_helper(node)
    pid = command_pid(node)
    assert len(list(tmp_path.glob("rdzv-*"))) == 1
    node.send(signal.SIGKILL)
    assert node.wait() == -signal.SIGKILL
    wait_for_end(pid)
    wait_for_end(helper)
    assert not list(tmp_path.glob("rdzv-*"))


def test_nodes_do_not_survive_a_killed_spawn(rdzv: Rdzv) -> None:
    group = rdzv.run("--spawn=2", "--grace=1", command=STUBBORN)
    for _ in range(2):
        wait_until_up(group)
    commands = [event["pid"] for event in group.events if event["event"] == "started"]
    nodes = [node["pid"] for node in rdzv.status()["nodes"]]
    group.send(signal.SIGKILL)
    for pid in [*nodes, *commands]:
        wait_for_end(pid)
    assert rdzv.status()["phase"] != "closed"


def test_a_killed_node_is_missed_and_the_others_go_on(rdzv: Rdzv) -> None:
    dies, stays = pair(rdzv, "keep_alive_interval=0.3,keep_alive_max_attempt=15")
    dies.send(signal.SIGKILL)
    stays.wait_for("restarting", reason="membership")
    stays.wait_for("joined", world_size=1)
    rdzv.open_gate()
    assert stays.wait() == ExitCode.OK
