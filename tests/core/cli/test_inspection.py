"""``rdzv status``, ``watch`` and ``close``: runs seen from outside."""

import os
import pty
import signal
import socket
from pathlib import Path

import pytest

from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.sqlite import SqliteBackend
from tests.core.cli.conftest import RDZV, Rdzv, pair, wait_until_up


def test_a_run_is_shown_with_all_its_nodes(rdzv: Rdzv) -> None:
    nodes = [rdzv.run("--nodes=2") for _ in range(2)]
    joined = {node.pid: node.wait_for("joined") for node in nodes}
    spare = rdzv.run("--nodes=2")
    spare.wait_for("waiting")
    status = rdzv.status()
    assert (status["run_id"], status["phase"], status["round"]) == ("job", "complete", 0)
    assert (status["min_nodes"], status["max_nodes"], status["missing"]) == (2, 2, 0)
    assert [(node["rank"], node["standing"]) for node in status["nodes"]] == [
        (0, "active"),
        (1, "active"),
        (None, "waiting"),
    ]
    for node in status["nodes"][:2]:
        assert joined[node["pid"]]["rank"] == node["rank"]
        assert joined[node["pid"]]["node"] == node["node"]
        assert (node["host"], node["address"]) == (socket.gethostname(), "127.0.0.1")
        assert node["heartbeat_age"] >= 0
    assert sum(node["coordinates"] for node in status["nodes"]) == 1


def test_the_table_is_for_people(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=3")
    node.wait_for("waiting")
    shown = rdzv.call("status").stdout
    assert "job  3 nodes" in shown
    assert "round 0 is forming: 1 of 3 nodes here, 2 missing." in shown
    assert f"{socket.gethostname()} (127.0.0.1)  {node.pid}" in shown
    assert "coordinator" in shown
    assert "\x1b" not in shown, "no colors in a pipe"


def test_who_is_gone_is_shown_with_the_reason(rdzv: Rdzv) -> None:
    nodes = [rdzv.run("--nodes=3", "--conf=keep_alive_max_attempt=20") for _ in range(3)]
    for node in nodes:
        wait_until_up(node)
    nodes[0].send(signal.SIGTERM)
    nodes[0].wait()
    for node in nodes[1:]:
        node.wait_for("waiting")
    status = rdzv.status()
    assert (status["phase"], status["round"], status["missing"]) == ("joining", 1, 1)
    assert [node["standing"] for node in status["nodes"]] == ["waiting", "waiting"]


def test_looking_takes_no_part(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=2")
    node.wait_for("waiting")
    before, after = rdzv.status(), rdzv.status()
    assert [each["node"] for each in before["nodes"]] == [each["node"] for each in after["nodes"]]
    assert len(after["nodes"]) == 1


@pytest.mark.parametrize("command", ["status", "close"])
def test_a_run_that_does_not_exist_has_its_own_exit_code(rdzv: Rdzv, command: str) -> None:
    for options in ([], ["--json"]):
        done = rdzv.call(command, *options)
        assert done.returncode == ExitCode.NO_RUN
        assert (done.stdout, done.stderr.count("\n")) == ("", 1)
        assert f"There is no run 'job' on the backend 'sqlite' at {rdzv.endpoint}" in done.stderr


def test_the_default_file_is_named(rdzv: Rdzv, tmp_path: Path) -> None:
    path = tmp_path / "default.db"
    done = rdzv.call("status", RDZV_ENDPOINT="", RDZV_SQLITE_PATH=str(path))
    assert f"at {path}" in done.stderr
    assert not path.exists(), "it only looks"


@pytest.mark.parametrize("command", ["status", "watch", "close"])
def test_a_state_that_cannot_be_read_is_said(rdzv: Rdzv, command: str) -> None:
    backend = SqliteBackend(rdzv.endpoint, "job")
    backend.set_state(b"{not json")
    done = rdzv.call(command)
    assert done.returncode == ExitCode.BAD_STATE
    assert "corrupt" in done.stderr
    assert "Traceback" not in done.stderr
    backend.close()


def test_closing_ends_the_wait_of_all(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=2")
    node.wait_for("waiting")
    assert rdzv.call("close").stdout == "The run 'job' is closed.\n"
    assert node.wait() == ExitCode.CLOSED
    assert rdzv.run("--nodes=2").wait() == ExitCode.CLOSED
    assert rdzv.call("close", "--json").stdout == '{"run_id": "job", "closed": true}\n'


def test_watching_follows_a_run_from_before_its_start_to_its_end(rdzv: Rdzv) -> None:
    watcher = rdzv.start("watch")
    assert "There is no run 'job'" in watcher.wait_for("stderr")["text"]
    nodes = pair(rdzv)
    rdzv.open_gate()
    assert [node.wait() for node in nodes] == [ExitCode.OK, ExitCode.OK]
    assert watcher.wait() == ExitCode.OK
    lines = [event["text"] for event in watcher.events]
    assert any("runs with 2 nodes" in line for line in lines)
    assert "the run is closed" in lines[-1]


def test_watching_tells_programs_every_change_once(rdzv: Rdzv) -> None:
    watcher = rdzv.call("run", "--nodes=1", "--", "true")
    assert watcher.returncode == ExitCode.OK
    done = rdzv.call("watch", "--json")
    assert done.returncode == ExitCode.OK
    assert done.stdout.count("\n") == 1
    assert '"phase": "closed"' in done.stdout


def test_ctrl_c_ends_watching(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=2")
    node.wait_for("waiting")
    watcher = rdzv.start("watch")
    watcher.wait_for("line")
    watcher.send(signal.SIGINT)
    assert watcher.wait() == ExitCode.INTERRUPTED
    assert "Traceback" not in watcher.stderr


def test_on_a_terminal_watching_shows_a_table(rdzv: Rdzv) -> None:
    assert rdzv.call("run", "--nodes=1", "--", "true").returncode == ExitCode.OK
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(RDZV[0], [*RDZV, "watch"], {**os.environ, **rdzv.environment, "TERM": "xterm"})
    shown = b""
    while data := read(terminal):
        shown += data
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == ExitCode.OK
    assert b"the run is closed after round 0" in shown
    assert b"standing" in shown


def read(terminal: int) -> bytes:
    """What a terminal shows next; nothing when its last process has ended."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
