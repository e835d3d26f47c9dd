"""A process with many nodes of a large group. Each is a handler of its own, with connections of its own.

A node has a thread of the benchmark's only while it asks; one thread looks after all that are in a round.
"""

import gc
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, Queue
from typing import Any, NamedTuple

from benchmarks.contenders import Node, Plan, create
from benchmarks.limits import step_back

_OPENERS = 4
"""So many nodes of a process connect at the same time."""

_GLANCE = 0.002
"""Seconds a node between two looks whether nodes were told: it must not take what they need."""

_STACK = 1 << 20

_SWITCH = 10.0
"""Seconds after which a thread asks for another one's turn: at Python's default, hundreds of waiting threads
do nothing else. None of them goes on for long."""


class Met(NamedTuple):
    """How the nodes of a process formed a round; moments are of a clock that all processes share."""

    told: float
    """When the last one was told."""
    ranked: float
    """When the last one had its rank."""
    nodes: float
    """Seconds of processor time of the process meanwhile."""
    coordinator: float
    """The same of the thread that coordinates, if it is here."""
    asked: int
    """How many nodes had asked."""
    joined: int
    """How many of them are in the round; fewer than all where time ran out."""


class Use(NamedTuple):
    """What the nodes of a process have used so far, and what they hold."""

    counted: Counter[str]
    threads: int
    memory: int
    """Bytes, of what processes share the part that falls to this one."""


class Crowd:
    """The nodes of one process."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._nodes: list[Node] = []
        self._ranked: Queue[tuple[float, int] | Exception] = Queue()

    def open(self, plan: Plan) -> None:
        """Create the handlers, which connects them."""
        with ThreadPoolExecutor(_OPENERS) as openers:
            self._nodes = list(openers.map(create, [plan] * self._size))
        gc.freeze()  # a process of one node has not so many objects to look through

    def meet(self, world_size: int, limit: float) -> Met:
        """Have all ask, and wait until all are in a round of so many nodes, for at most so many seconds."""
        began, used = time.monotonic(), time.process_time()
        for node in self._nodes:
            self._ask(node)
        asked = len(self._nodes)
        ranked, joined = self._gather(asked, world_size, began + limit)
        return Met(began, ranked, time.process_time() - used, self._coordination(), asked, joined)

    def serve(self, world_size: int, limit: float) -> Met:
        """Have each ask as soon as it is told that it should, and wait as `meet` does."""
        calm, told = list(self._nodes), 0.0
        deadline = time.monotonic() + limit
        used, coordinated = time.process_time(), self._coordination()
        while calm and time.monotonic() < deadline:
            roused = [node for node in calm if node.is_called()]
            if roused:
                if not told:
                    used, coordinated = time.process_time(), self._coordination()
                told = time.monotonic()
                for node in roused:
                    self._ask(node)
                calm = [node for node in calm if node not in roused]
            time.sleep(_GLANCE * len(self._nodes))
        asked = len(self._nodes) - len(calm)
        ranked, joined = self._gather(asked, world_size, deadline)
        took = time.process_time() - used, self._coordination() - coordinated
        return Met(told, ranked, *took, asked, joined)

    def use(self) -> Use:
        """Tell what was used so far."""
        counted = sum((node.requests for node in self._nodes), Counter[str]())
        rollup = Path("/proc/self/smaps_rollup").read_text().split()
        memory = 1024 * int(rollup[rollup.index("Pss:") + 1])
        return Use(counted, len(os.listdir("/proc/self/task")), memory)

    def _ask(self, node: Node) -> None:
        def ask() -> None:
            try:
                size = node.ask()
                self._ranked.put((time.monotonic(), size))
            except Exception as error:
                self._ranked.put(error)

        threading.Thread(target=ask, daemon=True).start()

    def _gather(self, asked: int, world_size: int, deadline: float) -> tuple[float, int]:
        """Return when the last one had its rank, and how many have got theirs in time."""
        latest = 0.0
        for joined in range(asked):
            try:
                told = self._ranked.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                return latest, joined
            if isinstance(told, Exception):
                raise told
            at, size = told
            if size != world_size:
                raise RuntimeError(f"a round of {size} nodes has formed, not of {world_size}")
            latest = max(latest, at)
        return latest, asked

    def _coordination(self) -> float:
        clocks = [time.pthread_getcpuclockid(node.lister) for node in self._nodes if node.lister is not None]
        return sum(map(time.clock_gettime, clocks))


def run(pipe: Connection, size: int) -> None:
    """Be so many nodes, until the conductor is gone: answer each order with what comes of it."""
    logging.disable(logging.WARNING)
    gc.freeze()  # what processes share stays shared
    if size > 1:
        step_back()
        sys.setswitchinterval(_SWITCH)
    threading.stack_size(_STACK)
    crowd = Crowd(size)
    try:
        while True:
            what, *arguments = pipe.recv()
            order: Callable[..., Any] = getattr(crowd, what)
            try:
                pipe.send(order(*arguments))
            except Exception as error:
                pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))
    except (EOFError, OSError):
        os._exit(0)
