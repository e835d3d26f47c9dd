"""One trial: two nodes work together, one is killed with all that it started, the other goes on."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO


class DidNotWork(Exception):
    """What must happen did not; ends with what the nodes said last."""


class Node:
    """One node of a job. Its program prints ``ready RANK WORLD`` once it has worked with the others."""

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
        self._ready: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def wait_for_world(self, size: int, patience: float) -> None:
        """Block until the program works in a world of ``size``."""
        deadline = time.monotonic() + patience
        world: int | None = 0
        while world != size:
            try:
                world = self._ready.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise DidNotWork(f"no world of {size} within {patience:g} s\n{self.report()}") from None
            if world is None:
                raise DidNotWork(f"the node ended instead of working in a world of {size}\n{self.report()}")

    def kill(self) -> None:
        """Kill the node and all that it has started, as the end of a machine does."""
        doomed = [self.process.pid, *_descendants(self.process.pid)]
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def report(self) -> str:
        """The last that it said."""
        return "".join(self.said[-40:])

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self.said.append(line)
            # What several processes print may share a line.
            _, found, rest = line.partition("ready ")
            words = rest.split()
            if found and len(words) >= 2 and words[1].isdigit():
                self._ready.put(int(words[1]))
        self._ready.put(None)


def try_out(
    commands: Sequence[Sequence[str]], folder: Path, patience: float, *, replaced: bool = False
) -> tuple[float, float]:
    """Return the seconds until two nodes work, and from the death of one until the other works again.

    It works alone then, or, where the one that was killed is ``replaced``, with the new one.

    Raises:
        DidNotWork: it does not come to that, or the other does not end well then.
    """
    environment = {
        "FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
        "PYTHONUNBUFFERED": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    nodes: list[Node] = []
    try:
        began = time.monotonic()
        nodes += [Node(command, environment) for command in commands]
        for node in nodes:
            node.wait_for_world(len(nodes), patience)
        met = time.monotonic() - began
        *survivors, victim = nodes
        began = time.monotonic()
        victim.kill()
        if replaced:
            survivors.append(Node(commands[-1], environment))
            nodes.append(survivors[-1])
        for node in survivors:
            node.wait_for_world(len(survivors), patience)
        recovered = time.monotonic() - began
        (folder / "stop").touch()
        for node in survivors:
            if status := node.process.wait(patience):
                raise DidNotWork(f"the survivor ended with status {status}\n{node.report()}")
        return met, recovered
    finally:
        for node in nodes:
            node.kill()


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *_descendants(child)]
    return found
