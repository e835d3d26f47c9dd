"""The command line on the legacy backend, which builds whole handlers: its runs are seen and removed."""

import json
import sys
from collections.abc import Callable

import pytest

from rendezvous_core import RendezvousClosedError, RendezvousParameters
from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.cli.invocation import invoke
from rendezvous_core.testing.suites.threads import start
from rendezvous_etcd import EtcdRendezvousHandler, EtcdServer, create_rdzv_handler

PATIENCE = 60

Rdzv = Callable[..., tuple[int, str]]


def node(server: EtcdServer, run_id: str, nodes: int = 1) -> EtcdRendezvousHandler:
    return create_rdzv_handler(RendezvousParameters("etcd", server.get_endpoint(), run_id, nodes, nodes))


@pytest.fixture
def rdzv(server: EtcdServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rdzv:
    """Call ``rdzv`` in this process; return its exit code, and all that it printed."""

    def call(command: str, *words: str) -> tuple[int, str]:
        where = ["--backend", "etcd", "--endpoint", server.get_endpoint()]
        monkeypatch.setattr(sys, "argv", ["rdzv", command, *where, *words])
        capsys.readouterr()
        code = invoke(interrupts=False)
        return code, "".join(capsys.readouterr())

    return call


def phases(rdzv: Rdzv) -> dict[str, str]:
    code, told = rdzv("runs", "--json")
    assert code == ExitCode.OK, told
    return {run["run_id"]: run["phase"] for run in json.loads(told)["runs"]}


def test_runs_are_seen_and_removed(rdzv: Rdzv, server: EtcdServer) -> None:
    working = node(server, "working")
    working.next_rendezvous()
    waiting = start(node(server, "forming", 2).next_rendezvous)
    node(server, "ended").set_closed()
    server.get_client().write("/torchelastic/p2p/run_damaged/rdzv/active_version", "{")
    expected = {"damaged": "unreadable", "ended": "closed", "forming": "joining", "working": "complete"}
    while phases(rdzv) != expected or "1 node here" not in rdzv("status", "--run-id", "forming")[1]:
        assert not waiting.done(), "it waits for the other one"

    _, table = rdzv("status")
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines()}
    assert rows["working"][:3] == ["running", "1", "1"]
    assert rows["ended"] == ["closed", "0", "0"]
    _, told = rdzv("status", "--run-id", "working")
    assert "active" in told

    for run_id in ("working", "forming"):
        code, told = rdzv("delete", "--run-id", run_id)
        assert (code, "--force" in told) == (ExitCode.IN_USE, True), told
    code, told = rdzv("delete", "--run-id", "damaged")
    assert (code, "--force" in told) == (ExitCode.BAD_STATE, True), told
    assert rdzv("delete", "--run-id", "damaged", "--force")[0] == ExitCode.OK
    assert rdzv("delete", "--run-id", "ended")[0] == ExitCode.OK
    assert rdzv("delete", "--run-id", "ended")[0] == ExitCode.NO_RUN
    assert rdzv("delete", "--run-id", "forming", "--force")[0] == ExitCode.OK
    assert isinstance(waiting.exception(PATIENCE), RendezvousClosedError)
    assert phases(rdzv) == {"working": "complete"}

    code, told = rdzv("close", "--run-id", "working")
    assert code == ExitCode.OK, told
    assert working.is_closed()
    working.shutdown()


def test_a_run_whose_nodes_have_expired_is_removed(rdzv: Rdzv, server: EtcdServer) -> None:
    handler = node(server, "dead")
    handler.next_rendezvous()
    handler._rendezvous.leave()
    server.get_client().delete("/torchelastic/p2p/run_dead/rdzv/v_1/rank_0")
    _, table = rdzv("runs")
    assert "running, silent" in table
    assert "lost" in rdzv("status", "--run-id", "dead")[1]
    code, told = rdzv("delete", "--run-id", "dead")
    assert (code, "is deleted" in told) == (ExitCode.OK, True), told
    assert "dead" not in phases(rdzv)
    # Its id is as new.
    again = node(server, "dead")
    assert again.next_rendezvous().world_size == 1
    again.shutdown()
