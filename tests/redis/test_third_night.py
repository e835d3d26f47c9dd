"""The third night: nodes are killed and paused, the server is restarted, and all is told in the morning."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rendezvous_redis import RedisServer
from tests.core.processes import PATIENCE, EventProcess, signals_as_in_a_terminal

RDZV = [sys.executable, "-m", "rendezvous_core.cli"]
CONF = "keep_alive_interval=1,keep_alive_max_attempt=10,last_call_timeout=80,connect_timeout=60"

STORY = """
the run begins with A
round 0 has 8 nodes; new: 8
lost: B C
again: 6
round 1 has 6 nodes
lost: D
again: 5
round 2 has 5 nodes
called
again: 5
round 3 has 6 nodes; back: D
the backend could not be reached
the run is closed
"""


class Night:
    """A run on a server that can be restarted."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.environment = {
            "RDZV_BACKEND": "redis",
            "RDZV_ENDPOINT": server.endpoint,
            "RDZV_RUN_ID": "night",
            "RDZV_CONF": "",
        }
        self.nodes: list[EventProcess] = []

    def start(self) -> EventProcess:
        arguments = ["run", "--json", "--nodes=4:8", f"--conf={CONF}", "--local-addr=127.0.0.1"]
        node = EventProcess([*RDZV, *arguments, "--", "sleep", "3600"], self.environment)
        self.nodes.append(node)
        return node

    def call(self, command: str) -> Any:
        done = subprocess.run(
            [*RDZV, command, "--json"],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def night(binary: Path, tmp_path: Path) -> Iterator[Night]:
    with signals_as_in_a_terminal(), RedisServer(binary=binary, data_dir=tmp_path / "data") as server:
        night = Night(server)
        try:
            yield night
        finally:
            for node in night.nodes:
                node.end()


def test_the_third_night(night: Night) -> None:
    nodes = [night.start() for _ in range(8)]
    for node in nodes:
        node.wait_for("joined", world_size=8)
    leader = next(each["pid"] for each in night.call("status")["nodes"] if each["coordinates"])
    first, second, third, *others = [node for node in nodes if node.pid != leader]
    others.append(next(node for node in nodes if node.pid == leader))
    for node in (first, second):
        node.send(signal.SIGKILL)
    for node in (third, *others):
        node.wait_for("joined", world_size=6)
    third.send(signal.SIGSTOP)
    for node in others:
        node.wait_for("joined", world_size=5)
    third.send(signal.SIGCONT)
    for node in (third, *others):
        node.wait_for("joined", round=3, world_size=6)
    night.server.stop()
    others[-1].wait_for("disconnected")
    night.server.start()
    others[-1].wait_for("reconnected")
    subprocess.run(
        [*RDZV, "close"],
        env={**os.environ, **night.environment},
        timeout=PATIENCE,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    others[-1].wait_for("closed")

    events = night.call("history")["events"]
    while events[-1]["kind"] != "closed":
        events = night.call("history")["events"]
    names = {leader: "A", first.pid: "B", second.pid: "C", third.pid: "D"}
    assert "\n".join(told(events, names)) == STORY.strip()
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    for event in events:
        assert all(who["host"] == socket.gethostname() for who in event["nodes"])
        assert re.search(r"pid \d+", event["text"]) or event["kind"] in ("called", "closed", "formed")
        if event["reason"] == "lost":
            assert event["took"] >= 9
        if event["kind"] == "reconnected":
            assert event["took"] > 0


def told(events: list[dict[str, Any]], names: dict[int, str]) -> Iterator[str]:
    """The story without what differs from night to night; departures for one reason in a row, once."""
    gathered: dict[str, list[int]] = {}

    def flush() -> Iterator[str]:
        for reason in ("lost", "again"):
            if pids := gathered.pop(reason, []):
                known = " ".join(sorted(names[pid] for pid in pids)) if reason == "lost" else str(len(pids))
                yield f"{reason}: {known}"

    for event in events:
        pids = [who["pid"] for who in event["nodes"]]
        if event["kind"] == "departed":
            gathered.setdefault(event["reason"], []).extend(pids)
            continue
        yield from flush()
        match event["kind"]:
            case "began":
                yield "the run begins with A"
            case "formed":
                back = [names[pid] for pid in pids if event["round"] and pid in names]
                news = f"; new: {event['number']}" if event["round"] == 0 else ""
                yield f"round {event['round']} has {event['world_size']} nodes{news}" + (
                    f"; back: {' '.join(back)}" if back else ""
                )
            case "reconnected":
                yield "the backend could not be reached"
            case "closed":
                yield "the run is closed"
            case kind:
                yield kind
