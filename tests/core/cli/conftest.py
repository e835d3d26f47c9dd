"""Nodes and commands of ``rdzv`` as processes over one sqlite file of the test."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.core.processes import PATIENCE, EventProcess, signals_as_in_a_terminal

RDZV = [sys.executable, "-m", "rendezvous_core.cli"]
COMMAND = [sys.executable, str(Path(__file__).with_name("command.py"))]

# Short, as most of these tests have no late node; and never evicted, however busy the machine is.
CONF = "last_call_timeout=0.5,keep_alive_max_attempt=20"


class Rdzv:
    """Starts ``rdzv`` with the environment of this test."""

    def __init__(self, directory: Path) -> None:
        self.endpoint = str(directory / "rendezvous.db")
        self._gate = str(directory / "gate")
        os.mkfifo(self._gate)
        self._gatekeeper: int | None = os.open(self._gate, os.O_RDWR)
        self.environment = {
            "RDZV_BACKEND": "sqlite",
            "RDZV_ENDPOINT": self.endpoint,
            "RDZV_SQLITE_PATH": self.endpoint,
            "RDZV_RUN_ID": "job",
            "RDZV_CONF": "",
            "RDZV_DEBUG": "",
            "GATE": self._gate,
        }
        self.nodes: list[EventProcess] = []

    def start(self, *arguments: str, **environment: str) -> EventProcess:
        """Start a command that tells JSON lines."""
        node = EventProcess([*RDZV, *arguments], {**self.environment, **environment})
        self.nodes.append(node)
        return node

    def run(self, *options: str, command: list[str] = COMMAND, **environment: str) -> EventProcess:
        """Start a node, or several with ``--spawn``."""
        arguments = ["--local-addr=127.0.0.1", *options, "--", *command]
        return self.start("run", "--json", *arguments, **environment)

    def call(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [*RDZV, *arguments],
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def status(self) -> Any:
        """What ``rdzv status`` says of the run."""
        return json.loads(self.call("status", "--json").stdout)

    def open_gate(self) -> None:
        """Let all commands end their work."""
        if self._gatekeeper is not None:
            os.close(self._gatekeeper)
            self._gatekeeper = None

    def close(self) -> None:
        for node in self.nodes:
            node.end()
        self.open_gate()


def pair(rdzv: Rdzv, conf: str = CONF) -> list[EventProcess]:
    """Two nodes at work in one round, of which one could go on alone."""
    nodes = [rdzv.run("--nodes=1:2", f"--conf={conf},last_call_timeout=1") for _ in range(2)]
    for node in nodes:
        # Where the second node is slow to start, the first has a round of its own before.
        node.wait_for("joined", world_size=2)
        wait_until_up(node)
    return nodes


def wait_until_up(node: EventProcess) -> list[str]:
    """Wait for the command to work; return the words it says then."""
    while True:
        words: list[str] = node.wait_for("output", stream="stdout")["text"].split()
        if words[0] == "up":
            return words


@contextmanager
def at_work(directory: Path) -> Iterator[Rdzv]:
    """Start what is started with it as from a terminal, and end it all."""
    with signals_as_in_a_terminal(), closing(Rdzv(directory)) as program:
        yield program


@pytest.fixture
def rdzv(tmp_path: Path) -> Iterator[Rdzv]:
    with at_work(tmp_path) as program:
        yield program
