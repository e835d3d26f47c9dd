"""The conductor's side of a large group: few processes of many nodes, and two that have a single node.

Of these one asks first, and so coordinates, and the other one is killed.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from multiprocessing import connection, get_context
from typing import Any
from uuid import uuid4

from benchmarks.contenders import Plan
from benchmarks.crowd import Met, run
from benchmarks.group import GroupError, parts

_AHEAD = 0.2
"""Seconds by which the first node comes before the others."""

_GRACE = 60.0
"""Seconds that a process may take to say how far its nodes have come."""


class Gathering:
    """``plan.max_nodes`` nodes; as a context manager it kills all of them in the end."""

    def __init__(self, plan: Plan, processes: int) -> None:
        self._plan = replace(plan, run_id=uuid4().hex)
        context = get_context("forkserver")
        self._processes = []
        self._pipes: list[connection.Connection] = []
        for size in (1, *map(len, parts(plan.max_nodes - 1, processes - 1))):
            here, there = context.Pipe()
            process = context.Process(target=run, args=(there, size), daemon=True)
            process.start()
            there.close()
            self._processes.append(process)
            self._pipes.append(here)

    def open(self, limit: float) -> float:
        """Connect all; return how long that took."""
        began = time.monotonic()
        self.have("open", self._plan, limit=limit)
        return time.monotonic() - began

    def meet(self, limit: float) -> tuple[float, list[Met]]:
        """Have all ask, one of them first; return when the others did, and how each process has met."""
        first, *others = self._pipes
        order = "meet", self._plan.max_nodes, limit
        first.send(order)
        time.sleep(_AHEAD)
        began = time.monotonic()
        for pipe in others:
            pipe.send(order)
        return began, self._met(self._plan.max_nodes, limit)

    def meet_again(self, limit: float) -> Callable[[], list[Met]]:
        """Have each ask as soon as it is told; return what waits for how they have met without the last."""
        nodes = self._plan.max_nodes - 1
        for pipe in self._pipes[:-1]:
            pipe.send(("serve", nodes, limit))
        return lambda: self._met(nodes, limit)

    def have(self, what: str, *arguments: Any, limit: float) -> list[Any]:
        """Have all processes do something; return what each has answered."""
        self.order(what, *arguments)
        return self.answers(limit)

    def order(self, what: str, *arguments: Any) -> None:
        """Tell all that live what to do; see `Crowd`."""
        for pipe in self._pipes:
            pipe.send((what, *arguments))

    def answers(self, limit: float) -> list[Any]:
        """Wait for an answer of each. Raises `GroupError` where there is an error, or none in time."""
        deadline, found, awaited = time.monotonic() + limit, [], set(self._pipes)
        while awaited:
            ready: Iterable[Any] = connection.wait(awaited, max(0.0, deadline - time.monotonic()))
            if not ready:
                raise GroupError(f"{len(awaited)} of {len(self._pipes)} processes took more than {limit:g} s")
            for pipe in ready:
                answer = pipe.recv()
                if isinstance(answer, Exception):
                    raise GroupError(str(answer)) from answer
                found.append(answer)
                awaited.discard(pipe)
        return found

    def _met(self, nodes: int, limit: float) -> list[Met]:
        met: list[Met] = self.answers(limit + _GRACE)
        asked, joined = sum(each.asked for each in met), sum(each.joined for each in met)
        if joined < nodes:
            raise GroupError(f"after {limit:g} s {asked} of {nodes} had asked, and {joined} were ranked")
        return met

    def kill_last(self) -> float:
        """Kill the node that is alone in its process; return when that was."""
        self._pipes.pop().close()
        now = time.monotonic()
        self._processes[-1].kill()
        return now

    def close(self) -> None:
        """Kill all."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        for pipe in self._pipes:
            pipe.close()

    def __enter__(self) -> "Gathering":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
