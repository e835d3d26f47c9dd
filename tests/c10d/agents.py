"""Stock torchrun agents as processes, and what their workers tell."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import torch

from rendezvous_core.records.codec import decode_member
from rendezvous_core.sqlite import SqliteBackend

PATIENCE = 120.0
"""Seconds within which what must happen happens; only what fails waits for so long."""

FINDS_BACKENDS = torch.__version__ >= (2, 6)
"""Whether torchrun looks for the backends of others."""

TORCHRUN = "torch.distributed.run" if FINDS_BACKENDS else "rendezvous_c10d.torchrun"

TRAIN = Path(__file__).with_name("train.py")

PART = Path(__file__).with_name("part.py")

CONF = {"keep_alive_interval": 1, "keep_alive_max_attempt": 6, "last_call_timeout": 1}
"""A participant that was killed is found out within six seconds."""


def is_gloos(line: str) -> bool:
    """Whether gloo has printed this among what workers print, as it does in some versions of torch."""
    return line.startswith("[Gloo]")


def until(condition: Callable[[], bool], what: str) -> None:
    """Look at ``condition``, of which nobody tells, until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE} s"
        time.sleep(0.02)


class DidNotHappen(AssertionError):
    """What must happen did not; says why, and what happened instead."""

    def __init__(self, what: str, why: str, report: str = "") -> None:
        super().__init__(f"{what}: {why}\n{report}")
        self.what, self.why, self.report = what, why, report


class Job:
    """The agents of one run, and the journal of all that their workers printed, in order of arrival."""

    def __init__(self, folder: Path, backend: str, endpoint: str, nodes: str, **conf: object) -> None:
        self.folder = folder
        self.endpoint = endpoint
        self.patience = PATIENCE
        self.train = TRAIN
        self.journal: list[dict[str, Any]] = []
        self.agents: dict[str, Agent] = {}
        self._arrived = threading.Condition()
        options = ",".join(f"{key}={value}" for key, value in {**CONF, **conf}.items())
        self.conf = f"--rdzv-conf={options}"
        """The options of all agents; an agent that is given others is given these too."""
        self._command = [
            sys.executable,
            "-m",
            TORCHRUN,
            f"--nnodes={nodes}",
            "--nproc-per-node=1",
            "--max-restarts=9",
            "--rdzv-id=job",
            f"--rdzv-backend={backend}",
            f"--rdzv-endpoint={endpoint}",
            self.conf,
        ]

    def start(self, number: int, *extra: str, **environment: str) -> "Agent":
        """Start one more agent, of the address ``127.0.0.<number>``, with more arguments and variables."""
        address = f"127.0.0.{number}"
        command = [*self._command, f"--local-addr={address}", *extra, str(self.train), str(self.folder)]
        agent = self.agents[address] = Agent(address, command, self._tell, environment)
        return agent

    def order(self, name: str) -> None:
        """Give an order to the workers; see ``train.py``."""
        (self.folder / name).touch()

    def wait_for(self, condition: Callable[[], bool], what: str, *agents: "Agent") -> None:
        """Block until ``condition`` holds of the journal; fail at once when one of ``agents`` has ended."""

        def ended() -> list[str]:
            return [f"{agent} ended with {agent.process.poll()}" for agent in agents if agent.ended]

        with self._arrived:
            self._arrived.wait_for(lambda: condition() or ended(), self.patience)
            if not condition():
                why = "; ".join(ended()) or f"not within {self.patience:g} s"
                raise DidNotHappen(what, why, self.report())

    def wait_for_world(self, *agents: "Agent", since: float = 0.0) -> list[dict[str, Any]]:
        """Block until the workers of just these agents have begun to train; return their starts by rank.

        ``since``: the moment before which they must not have begun.
        """
        found: list[dict[str, Any]] = []

        def together() -> bool:
            latest = [agent.latest for agent in agents if agent.latest and agent.latest["arrived"] > since]
            found[:] = sorted(latest, key=lambda each: each["rank"])
            return [each["rank"] for each in found] == list(range(len(agents))) and all(
                (each["world"], each["master"]) == (len(agents), found[0]["master"]) for each in found
            )

        self.wait_for(together, f"a world of {', '.join(map(str, agents))}", *agents)
        return list(found)

    def ends(self, *agents: "Agent") -> list[dict[str, Any]]:
        """Block until these agents have ended well; return what their workers told at their end, by rank."""
        for agent in agents:
            if status := agent.wait(self.patience):
                raise DidNotHappen(f"a good end of {agent}", f"it ended with {status}", self.report())
        addresses = {agent.address for agent in agents}
        ended = [each for each in self.journal if each["event"] == "end" and each["address"] in addresses]
        return sorted(ended, key=lambda each: int(each["rank"]))

    def wait_for_progress(self) -> None:
        """Block until a checkpoint was written after this call."""
        checkpoint = self.folder / "checkpoint.pt"

        def written() -> int:
            return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0

        former = written()
        until(lambda: written() > former, "a checkpoint")

    def wait_for_ask(self, agent: "Agent") -> None:
        """Block until an agent has asked for a place; for jobs over sqlite."""
        with closing(SqliteBackend(self.endpoint, "job")) as backend:

            def asked() -> bool:
                records = backend.members().records.values()
                return agent.address in {decode_member(record).address for record in records}

            until(asked, f"the ask of {agent.address}")

    def starts(self, agent: "Agent") -> int:
        """How often the worker of an agent has got as far as training."""
        return sum(each["event"] == "start" and each["address"] == agent.address for each in self.journal)

    def report(self) -> str:
        """Say what has happened so far."""
        lines = [json.dumps(each) for each in self.journal]
        for agent in self.agents.values():
            lines += [f"--- agent {agent.address}: {agent.process.poll()}", *agent.errors[-60:]]
        return "\n".join(lines)

    def close(self) -> None:
        """Kill what is left."""
        for agent in self.agents.values():
            agent.kill()

    def _tell(self, agent: "Agent", line: dict[str, Any] | None) -> None:
        with self._arrived:
            if line is None:
                agent.ended = True
            else:
                self.journal.append(line)
                if line["event"] == "start":
                    agent.latest = line
            self._arrived.notify_all()


class Agent:
    """One torchrun process with its worker."""

    def __init__(
        self,
        address: str,
        command: list[str],
        tell: Callable[["Agent", dict[str, Any] | None], None],
        environment: Mapping[str, str],
    ) -> None:
        self.address = address
        self.latest: dict[str, Any] | None = None
        self.ended = False
        self.errors: list[str] = []
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "AGENT_ADDRESS": address,
                "GLOO_SOCKET_IFNAME": "lo",
                "OMP_NUM_THREADS": "1",
                "LOGLEVEL": "INFO",
                **environment,
            },
        )
        self._tell = tell
        self._readers = [
            threading.Thread(target=self._read_journal, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __str__(self) -> str:
        return self.address

    def kill(self) -> None:
        """Kill the agent and its workers at once, as the end of a machine does."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def freeze(self) -> None:
        """Stop the agent and its workers: like a machine that is cut off, they say nothing any more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have them go on."""
        self._signal(signal.SIGCONT)

    def wait(self, patience: float = PATIENCE) -> int:
        """Block until the agent ends; return its exit status."""
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired as error:
            raise DidNotHappen(f"the end of {self}", f"not within {patience:g} s") from error
        for reader in self._readers:
            reader.join(patience)
        return status

    def _signal(self, number: signal.Signals) -> None:
        for pid in (self.process.pid, *self._children()):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _children(self) -> list[int]:
        pid = self.process.pid
        try:
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            return []

    def _read_journal(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not is_gloos(line):
                self._tell(self, {**json.loads(line), "arrived": time.monotonic()})
        self.process.wait()
        self._tell(self, None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))
