"""Plays a real group: nodes are killed, paused and cut off, and the servers' members with them."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.core.faults.groups import WORKER
from tests.core.processes import EventProcess
from tests.endurance.promises import Found, examine
from tests.endurance.stores import Servers
from tests.redis.networks import Host, Network

LEAST, MOST = 2, 4
OPTIONS = {"keep_alive_interval": 0.5, "keep_alive_max_attempt": 12, "last_call_timeout": 1}
PATIENCE = 120.0
"""So long a group may take to be whole again, on a machine that does much else."""


class Play:
    """One group of four on machines of their own, for so many seconds."""

    def __init__(self, network: Network, servers: Servers, seed: int) -> None:
        self._draw = random.Random(seed)
        self._servers = servers
        self._hosts = [network.host(f"n{index}", [f"10.9.0.{10 + index}/24"]) for index in range(MOST)]
        self._all: list[EventProcess] = []
        self._disturbed: set[str] = set()
        self._lost: set[str] = set()
        self.acts: dict[str, int] = {}
        self.slowest = 0.0
        self._nodes = [self._start(index) for index in range(MOST)]

    def _start(self, index: int) -> EventProcess:
        options = {
            "backend": self._servers.backend,
            "endpoint": self._servers.endpoint,
            "run_id": "endurance",
            "min_nodes": LEAST,
            "max_nodes": MOST,
            "local_addr": f"10.9.0.{10 + index}",
            **OPTIONS,
        }
        command = self._hosts[index].command(sys.executable, WORKER, json.dumps(options))
        node = EventProcess(command, {})
        self._all.append(node)
        return node

    def go_on(self, seconds: float) -> None:
        """Have something happen, and the group be whole again, over and over. Raises `AssertionError`."""
        deadline = time.monotonic() + seconds
        self._settle()
        acts: list[Callable[[], None]] = [self._kill, self._pause, self._cut]
        acts += [self._kill_member, self._cut_member] if self._servers.keeps_all else []
        while time.monotonic() < deadline:
            act = self._draw.choice(acts)
            name = act.__name__.strip("_")
            self.acts[name] = self.acts.get(name, 0) + 1
            act()
            began = time.monotonic()
            self._settle()
            self.slowest = max(self.slowest, time.monotonic() - began)
            self._read_history()

    def _kill(self) -> None:
        index = self._draw.randrange(MOST)
        self._disturb(index)
        self._nodes[index].send(signal.SIGKILL)
        self._nodes[index].wait()
        self._linger()
        self._nodes[index] = self._start(index)

    def _pause(self) -> None:
        index = self._draw.randrange(MOST)
        self._disturb(index)
        self._nodes[index].send(signal.SIGSTOP)
        self._linger()
        self._nodes[index].send(signal.SIGCONT)

    def _cut(self) -> None:
        index = self._draw.randrange(MOST)
        self._disturb(index)
        with _cut_off(self._hosts[index]):
            self._linger()

    def _kill_member(self) -> None:
        index = self._draw.randrange(3)
        self._servers.kill(index)
        self._linger()
        self._servers.restart(index)

    def _cut_member(self) -> None:
        with _cut_off(self._servers.hosts[self._draw.randrange(3)]):
            self._linger()

    def _disturb(self, index: int) -> None:
        self._disturbed.update(_names(self._nodes[index]))

    def _linger(self) -> None:
        time.sleep(self._draw.choice((0.5, 3.0, 9.0)))

    def _settle(self) -> None:
        """Wait until all are in one round; who could not reach the servers for too long is started again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for index, node in enumerate(self._nodes):
                if any(event["event"] == "error" for event in node.events):
                    node.end()
                    self._disturb(index)
                    self._nodes[index] = self._start(index)
            latest = [node.events[-1] if node.events else {} for node in self._nodes]
            rounds = {event.get("round_id") for event in latest if event.get("event") == "joined"}
            if len(rounds) == 1 and all(event.get("world_size") == MOST for event in latest):
                return
            assert time.monotonic() < deadline, f"progress: after {PATIENCE} s the nodes last told {latest}"
            time.sleep(0.1)

    def _read_history(self) -> None:
        where = ["--backend", self._servers.backend, "--endpoint", self._servers.endpoint]
        command = self._hosts[0].command("rdzv", "history", "--json", "--run-id", "endurance", *where)
        shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
        for event in json.loads(shown.stdout)["events"]:
            if event["reason"] == "lost":
                self._lost.update(node["node"] for node in event["nodes"])

    def examine(self) -> Found:
        """Hold all that was told against the promises."""
        told = [node.events for node in self._all]
        return examine(told, LEAST, MOST, self._lost, frozenset(self._disturbed))

    @property
    def befallen(self) -> str:
        """What happened how often, in words."""
        return ", ".join(f"{count} {act.replace('_', ' of a ')}" for act, count in sorted(self.acts.items()))

    def end(self) -> None:
        """Clear everything away."""
        for node in self._all:
            node.end()


def _names(node: EventProcess) -> set[str]:
    return {event["node"] for event in node.events if "node" in event}


@contextmanager
def _cut_off(host: Host) -> Iterator[None]:
    host.cut()
    try:
        yield
    finally:
        host.mend()


def play(kind: str, network: Network, folder: Path, seconds: float, seed: int) -> tuple[Found, Play]:
    """Play a group over one kind of servers; return what became of the promises."""
    servers = Servers(kind, network, folder)
    try:
        group = Play(network, servers, seed)
        try:
            group.go_on(seconds)
            return group.examine(), group
        finally:
            group.end()
    finally:
        servers.stop()
