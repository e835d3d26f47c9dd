"""``rdzv runs`` and ``rdzv delete``: all runs of a backend, and the end of one."""

import json
import signal
from pathlib import Path
from typing import Any

from rendezvous_core import RendezvousParameters, get_rendezvous_handler
from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.sqlite import SqliteBackend, SqliteStore
from tests.core.cli.conftest import CONF, Rdzv, wait_until_up

BRISK = "--conf=keep_alive_interval=0.2,keep_alive_max_attempt=3"


def listed(rdzv: Rdzv, *command: str) -> dict[str, Any]:
    done = rdzv.call(*(command or ("runs",)), "--json", RDZV_RUN_ID="")
    assert done.returncode == ExitCode.OK, done.stderr
    return {run["run_id"]: run for run in json.loads(done.stdout)["runs"]}


def closed(rdzv: Rdzv, run_id: str = "job") -> None:
    """Have a run that is over, and has stored something."""
    handler = get_rendezvous_handler(RendezvousParameters("sqlite", rdzv.endpoint, run_id, 1, 1))
    handler.next_rendezvous().store.set("key", b"value")
    handler.leave(done=True)
    handler.shutdown()


def test_all_runs_are_listed_closed_ones_too(rdzv: Rdzv) -> None:
    closed(rdzv, "ended")
    rdzv.run("--nodes=2", RDZV_RUN_ID="forming").wait_for("waiting")
    wait_until_up(rdzv.run("--nodes=1", RDZV_RUN_ID="running"))
    SqliteBackend(rdzv.endpoint, "damaged").set_state(b"{")
    runs = listed(rdzv)
    assert {run_id: run["phase"] for run_id, run in runs.items()} == {
        "ended": "closed",
        "forming": "joining",
        "running": "complete",
        "damaged": "unreadable",
    }
    assert (len(runs["running"]["nodes"]), runs["forming"]["missing"]) == (1, 1)
    assert all(run["age"] >= run["heard"] >= 0 for run in runs.values() if run["phase"] != "unreadable")
    lines = {
        line.split()[0]: line.split() for line in rdzv.call("status", RDZV_RUN_ID="").stdout.splitlines()
    }
    assert lines["running"][1:6] == ["running", "0", "1", "of", "1"]
    assert lines["forming"][1:6] == ["forming", "0", "1", "of", "2"]
    assert lines["ended"][1] == "closed"
    assert lines["damaged"][1] == "unreadable"


def test_without_runs_it_says_so(rdzv: Rdzv) -> None:
    assert rdzv.call("history").returncode == rdzv.call("delete").returncode == ExitCode.NO_RUN
    assert rdzv.call("runs").stdout == f"There are no runs on the backend 'sqlite' at {rdzv.endpoint}.\n"
    assert not Path(rdzv.endpoint).exists(), "they only look"


def test_a_closed_run_is_deleted_and_its_id_is_as_new(rdzv: Rdzv) -> None:
    closed(rdzv)
    assert rdzv.call("delete").stdout == "The run 'job' is deleted.\n"
    assert rdzv.call("delete").returncode == ExitCode.NO_RUN
    assert SqliteStore(rdzv.endpoint, "job").list_keys() == []
    closed(rdzv)
    assert rdzv.call("delete", "--json").stdout == '{"run_id": "job", "deleted": true}\n'


def test_a_run_in_which_somebody_lives_is_not_deleted(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=1", f"--conf={CONF},keep_alive_interval=0.5")
    wait_until_up(node)
    refused = rdzv.call("delete")
    assert refused.returncode == ExitCode.IN_USE
    assert f"pid {node.pid}" in refused.stderr
    assert "--force" in refused.stderr
    assert listed(rdzv)["job"]["phase"] == "complete"


def test_a_run_whose_nodes_were_killed_is_deleted(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=1", BRISK)
    wait_until_up(node)
    node.send(signal.SIGKILL)
    node.wait()
    done = rdzv.call("delete")
    assert (done.returncode, done.stdout) == (ExitCode.OK, "The run 'job' is deleted.\n")
    assert "whether anybody" in done.stderr
    assert listed(rdzv) == {}


def test_by_force_a_run_is_deleted_that_somebody_is_in(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=2")
    node.wait_for("waiting")
    done = rdzv.call("delete", "--force")
    assert (done.returncode, done.stdout) == (ExitCode.OK, "The run 'job' is deleted.\n")
    assert node.wait() == ExitCode.CLOSED
    assert listed(rdzv) == {}


def test_who_is_still_at_work_in_a_deleted_run_is_named(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=1")
    wait_until_up(node)
    assert f"pid {node.pid}" in rdzv.call("delete", "--force").stdout


def test_what_cannot_be_read_is_deleted_by_force(rdzv: Rdzv) -> None:
    SqliteBackend(rdzv.endpoint, "job").set_state(b"{")
    refused = rdzv.call("delete")
    assert refused.returncode == ExitCode.BAD_STATE
    assert "rdzv delete --force" in refused.stderr
    assert rdzv.call("delete", "--force").returncode == ExitCode.OK
    assert listed(rdzv) == {}


def test_a_backend_that_lists_none_says_so(rdzv: Rdzv) -> None:
    done = rdzv.call("runs", RDZV_BACKEND="static")
    assert done.returncode == ExitCode.FAILED
    assert "rendezvous_runs" in done.stderr
