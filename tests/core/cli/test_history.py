"""``rdzv history``, and what ``status`` and ``watch`` show of it."""

import json
import os
import signal
import socket

from rendezvous_core.cli.exit_codes import ExitCode
from tests.core.cli.conftest import Rdzv, wait_until_up


def test_a_lost_node_is_named_also_in_the_next_round(rdzv: Rdzv) -> None:
    nodes = [rdzv.run("--nodes=1:2", "--conf=keep_alive_interval=0.5,last_call_timeout=30") for _ in range(2)]
    joined = [node.wait_for("joined", world_size=2) for node in nodes]
    lost, other = nodes
    lost.send(signal.SIGKILL)
    told = other.wait_for("departed", reason="lost")
    assert f"{socket.gethostname()} (127.0.0.1) pid {lost.pid} rank {joined[0]['rank']}" in told["text"]
    assert told["at"] > joined[1]["at"] > 0
    other.wait_for("joined", world_size=1)
    wait_until_up(other)
    shown = json.loads(rdzv.call("status", "--json").stdout)
    (row,) = [node for node in shown["nodes"] if node["standing"] == "lost"]
    assert (row["pid"], row["last_round"], row["last_rank"]) == (lost.pid, 0, joined[0]["rank"])
    assert row["gone_at"] > 0
    rdzv.open_gate()
    assert other.wait() == ExitCode.OK

    events = json.loads(rdzv.call("history", "--json").stdout)["events"]
    (death,) = [event for event in events if event["reason"] == "lost"]
    (who,) = death["nodes"]
    assert (who["host"], who["pid"], who["node"]) == (socket.gethostname(), lost.pid, joined[0]["node"])
    assert death["took"] >= 1
    assert events[-1]["kind"] == "closed"
    lines = rdzv.call("history").stdout.splitlines()
    assert len(lines) == len(events)
    assert sum(f"lost: {socket.gethostname()} (127.0.0.1) pid {lost.pid} rank" in line for line in lines) == 1
    assert os.getpid() not in {who["pid"] for event in events for who in event["nodes"]}


def test_of_no_run_there_is_no_history(rdzv: Rdzv) -> None:
    assert rdzv.call("history").returncode == ExitCode.NO_RUN
