"""One trial: two nodes work together, one is killed with all that it started, the other goes on."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

NODES = 2


class DidNotWork(Exception):
    """What must happen did not; ends with what the nodes said last."""


class Node:
    """One node of a job. Its program prints ``ready RANK WORLD PID`` once it has worked with the others."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.said: list[str] = []
        self._ready: queue.Queue[int | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def wait_for_world(self, size: int, patience: float, programs: int = 1) -> None:
        """Block until so many programs have said that they work in a world of ``size``."""
        deadline = time.monotonic() + patience
        while programs:
            try:
                world = self._ready.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise DidNotWork(f"no world of {size} within {patience:g} s\n{self.report()}") from None
            if world is None:
                raise DidNotWork(f"the node ended instead of working in a world of {size}\n{self.report()}")
            programs -= world == size

    def kill(self) -> None:
        """Kill the node and all that it has started, as the end of a machine does."""
        _kill(self.process.pid)
        self.process.wait()

    def kill_started(self, pattern: str) -> None:
        """Kill, with all that it has started, the last process started here whose command line is such."""
        found = [pid for pid in _descendants(self.process.pid) if re.search(pattern, _command_line(pid))]
        if not found:
            raise DidNotWork(f"it has started no {pattern}\n{self.report()}")
        parents = {child for pid in found for child in _descendants(pid)}
        _kill([pid for pid in found if pid not in parents][-1])

    def end(self, patience: float) -> int:
        """Block until the node has ended; return its status."""
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise DidNotWork(f"it did not end within {patience:g} s\n{self.report()}") from None
        self._reader.join(patience)
        return status

    def report(self) -> str:
        """The last that it said."""
        return "".join(self.said[-40:])

    def _read(self, output: IO[str]) -> None:
        heard = set[tuple[str, ...]]()
        for line in output:
            self.said.append(line)
            # What several processes print may share a line.
            _, found, rest = line.partition("ready ")
            words = rest.split()
            if found and len(words) >= 3 and words[1].isdigit() and words[2].isdigit():
                said = tuple(words[:3])
                if said not in heard:
                    heard.add(said)
                    self._ready.put(int(words[1]))
        self._ready.put(None)


class Trial(NamedTuple):
    """What is started, and what must come of it."""

    commands: Sequence[Sequence[str]]
    """That of each of two nodes, or that of a launcher which starts both."""
    launched: str = ""
    """How the command lines of the nodes that a launcher has started begin, or what is in them."""
    replaced: bool = False
    """Whether the group cannot go on with one node, and the other is replaced."""
    status: int = 0
    """How the survivor ends."""
    says: str = ""
    """A pattern of what is printed."""


def try_out(trial: Trial, folder: Path, patience: float) -> tuple[float, float]:
    """Return the seconds until two nodes work, and from the death of one until the other works again.

    It works alone then, or, where the one that was killed is replaced, with the new one.

    Raises:
        DidNotWork: it does not come to that, or the other does not end as it must then.
    """
    environment = {
        "FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
        "PYTHONUNBUFFERED": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    each = NODES if trial.launched else 1
    left = NODES if trial.replaced else NODES - 1
    nodes: list[Node] = []
    try:
        began = time.monotonic()
        nodes += [Node(command, environment) for command in trial.commands]
        for node in nodes:
            node.wait_for_world(NODES, patience, each)
        met = time.monotonic() - began
        began = time.monotonic()
        if trial.launched:
            survivors = nodes
            nodes[0].kill_started(trial.launched)
        else:
            *survivors, victim = nodes
            victim.kill()
            if trial.replaced:
                survivors.append(Node(trial.commands[-1], environment))
                nodes.append(survivors[-1])
        for node in survivors:
            node.wait_for_world(left, patience, left if trial.launched else 1)
        recovered = time.monotonic() - began
        (folder / "stop").touch()
        for node in survivors:
            status = node.end(patience)
            if status != trial.status:
                raise DidNotWork(f"the survivor ended with status {status}\n{node.report()}")
            if not re.search(trial.says, "".join(node.said)):
                raise DidNotWork(f"it did not say {trial.says}\n{node.report()}")
        return met, recovered
    finally:
        for node in nodes:
            node.kill()


def _kill(pid: int) -> None:
    for each in (pid, *_descendants(pid)):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    return ""


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *_descendants(child)]
    return found
