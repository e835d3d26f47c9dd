"""The conductor's side of a large group: few processes of many nodes, and two that have a single node.

Of these one asks first, and so coordinates, and the other one is killed.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing import connection, get_context
from typing import Any
from uuid import uuid4

from benchmarks.contenders import Plan
from benchmarks.crowd import Met, run
from benchmarks.group import GroupError, parts

_AHEAD = 0.2
"""Seconds by which the first node comes before the others."""


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
        first.send(("meet", self._plan.max_nodes))
        time.sleep(_AHEAD)
        began = time.monotonic()
        for pipe in others:
            pipe.send(("meet", self._plan.max_nodes))
        return began, self.answers(limit)

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
