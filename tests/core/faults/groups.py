"""Groups of worker processes over one sqlite file, and what must hold whatever befalls them."""

import json
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rendezvous_core import RendezvousParameters
from rendezvous_core.cli.look import RunLook
from rendezvous_core.cli.lookout import Lookout
from rendezvous_core.dynamic.history import Happening
from tests.core.processes import PATIENCE, Event, EventProcess

WORKER = str(Path(__file__).with_name("worker.py"))

# Dead after three seconds: soon enough for a test, and late enough for a healthy node on a busy machine.
OPTIONS = {"keep_alive_interval": 0.3, "keep_alive_max_attempt": 10, "last_call_timeout": 0.5}


class Group:
    """The nodes of one run, living and dead."""

    def __init__(
        self, endpoint: Path, min_nodes: int, max_nodes: int, run_id: str = "run", **options: float
    ) -> None:
        self.min_nodes, self.max_nodes = min_nodes, max_nodes
        self._options = {
            "endpoint": str(endpoint),
            "run_id": run_id,
            "min_nodes": min_nodes,
            "max_nodes": max_nodes,
            **OPTIONS,
            **options,
        }
        self._all: list[EventProcess] = []
        self.alive: list[EventProcess] = []
        self._lookout = Lookout(RendezvousParameters("sqlite", str(endpoint), run_id, 1, 1))

    def start(self, number: int) -> list[EventProcess]:
        """Start nodes; return when all have asked."""
        nodes = [EventProcess([sys.executable, WORKER, json.dumps(self._options)], {}) for _ in range(number)]
        self._all += nodes
        self.alive += nodes
        for node in nodes:
            node.wait_for("asked")
        return nodes

    def kill(self, *nodes: EventProcess) -> None:
        """End nodes with SIGKILL."""
        for node in nodes:
            node.send(signal.SIGKILL)
            self.alive.remove(node)
        for node in nodes:
            node.wait()

    def wait_until(self, condition: Callable[[RunLook], bool]) -> RunLook:
        """Wait until the run looks so from outside."""
        deadline = time.monotonic() + PATIENCE
        while True:
            look = self._lookout.look()
            if look is not None and condition(look):
                return look
            assert time.monotonic() < deadline, f"the run still looks like this: {look}"
            self._lookout.wait(0.5)

    def coordinator(self) -> EventProcess:
        """The node that coordinates."""
        look = self.wait_until(lambda look: any(node.coordinates and node.pid for node in look.nodes))
        pid = next(node.pid for node in look.nodes if node.coordinates)
        return next(node for node in self._all if node.pid == pid)

    def follower(self) -> EventProcess:
        """A living node that does not coordinate."""
        coordinator = self.coordinator()
        return next(node for node in self.alive if node is not coordinator)

    def wait_for_round(self, size: int | None = None) -> Event:
        """Wait until all who live are in one round, of so many nodes; return what one of them told."""
        size = len(self.alive) if size is None else size
        latest = {node: node.wait_for("joined") for node in self.alive}
        while len({event["round_id"] for event in latest.values()}) > 1 or any(
            event["world_size"] != size for event in latest.values()
        ):
            newest = max(event["round"] for event in latest.values())
            for node, event in latest.items():
                if event["round"] < newest or event["world_size"] != size:
                    latest[node] = node.wait_for("joined")
        return next(iter(latest.values()))

    def history(self) -> tuple[Happening, ...]:
        """What the coordinators have put down of the run, as ``rdzv history`` shows it."""
        return self._lookout.history()

    def check(self) -> None:
        """Hold all that any node was ever told against the promises."""
        rosters: defaultdict[str, dict[int, str]] = defaultdict(dict)
        sizes: dict[str, tuple[int, int]] = {}
        for process in self._all:
            joined = [event for event in process.events if event["event"] == "joined"]
            rounds = [event["round"] for event in joined]
            assert rounds == sorted(set(rounds)), "a round returned to a node is later than its last one"
            for event in joined:
                roster = rosters[event["round_id"]]
                assert 0 <= event["rank"] < event["world_size"]
                assert self.min_nodes <= event["world_size"] <= self.max_nodes
                assert roster.setdefault(event["rank"], event["node"]) == event["node"] == event["holder"]
                agreed = sizes.setdefault(event["round_id"], (event["round"], event["world_size"]))
                assert agreed == (event["round"], event["world_size"])
        numbers = [number for number, _ in sizes.values()]
        assert len(numbers) == len(set(numbers)), "a round has one roster"
        for roster in rosters.values():
            assert len(set(roster.values())) == len(roster), "a node has one rank"
        errors = [event for process in self._all for event in process.events if event["event"] == "error"]
        assert not errors

    def end(self) -> None:
        """Clear everything away."""
        self._lookout.close()
        for process in self._all:
            process.end()


@contextmanager
def group(
    endpoint: Path, min_nodes: int, max_nodes: int, run_id: str = "run", **options: float
) -> Iterator[Group]:
    """A group that is checked and cleared away at the end."""
    nodes = Group(endpoint, min_nodes, max_nodes, run_id, **options)
    try:
        yield nodes
        nodes.check()
    finally:
        nodes.end()
