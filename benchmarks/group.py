"""The conductor's side of a group: its processes, what they are told, and what they tell."""

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from multiprocessing import connection, get_context
from typing import Any
from uuid import uuid4

from benchmarks.contenders import CONTENDERS, Plan
from benchmarks.worker import Event, run

_START = 120.0
"""Seconds that all processes may take until they are connected, or have told what they are asked."""

_GATHER = 0.005
"""Seconds in which the conductor lets news gather: they are timed where they happen."""


def prepare(contenders: Iterable[str]) -> None:
    """Import once what their nodes need, in the server that all processes are forked from."""
    modules = {CONTENDERS[each].module for each in contenders}
    get_context("forkserver").set_forkserver_preload(["benchmarks.worker", *sorted(modules)])


class GroupError(Exception):
    """A node has failed; says why."""


class Group:
    """``plan.max_nodes`` nodes, connected but not asking; the last of them is alone in its process.

    As a context manager it kills all of them in the end: none is to leave in order.
    """

    def __init__(self, plan: Plan, processes: int) -> None:
        self.plan = replace(plan, run_id=uuid4().hex)
        self.seats = range(plan.max_nodes)
        self._events: dict[int, list[Event]] = defaultdict(list)
        self._pipes: dict[int, connection.Connection] = {}
        context = get_context("forkserver")
        self._processes = {}
        for part in parts(plan.max_nodes, processes):
            here, there = context.Pipe()
            process = context.Process(target=run, args=(there, part), daemon=True)
            process.start()
            there.close()
            for seat in part:
                self._pipes[seat], self._processes[seat] = here, process
        try:
            self.order(self.seats, "open", self.plan)
            if not self.until(lambda: self.last(self.seats, "opened") is not None, _START):
                raise GroupError(f"not all nodes were connected within {_START:g} s")
        except BaseException:
            self.close()
            raise

    def order(self, seats: Iterable[int], what: str, *arguments: Any) -> None:
        """Tell nodes what to do; see `Seat`."""
        for seat in seats:
            self._pipes[seat].send((seat, what, *arguments))

    def until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Listen until something is so, at most ``limit`` seconds. Raises `GroupError` if a node fails."""
        deadline = time.monotonic() + limit
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for pipe in connection.wait(set(self._pipes.values()), left):
                assert isinstance(pipe, connection.Connection)
                self._listen(pipe)
            time.sleep(_GATHER)
        return True

    def last(self, seats: Sequence[int], kind: str, since: float = 0.0, value: Any = None) -> float | None:
        """When this has happened to all ``seats`` for the first time since; ``None``: not yet."""
        latest = None
        for seat in seats:
            at = self._first(seat, kind, since, value)
            if at is None:
                return None
            latest = max(at, latest or at)
        return latest

    def first(self, seats: Sequence[int], kind: str) -> float:
        """When this has happened to one of ``seats`` for the first time."""
        return min(at for seat in seats if (at := self._first(seat, kind)) is not None)

    def ask(self, what: str, kind: str, seats: Sequence[int]) -> list[Any]:
        """Have nodes tell something about themselves."""
        now = time.monotonic()
        self.order(seats, what)
        if not self.until(lambda: self.last(seats, kind, now) is not None, _START):
            raise GroupError(f"not all nodes have answered within {_START:g} s")
        told = [[event.value for event in self._events[seat] if event.kind == kind] for seat in seats]
        return [values[-1] for values in told]

    def pid(self, seat: int) -> int | None:
        """The process of a node."""
        return self._processes[seat].pid

    def kill(self, seat: int) -> float:
        """Kill the process of a node; return when that was."""
        now = time.monotonic()
        self._processes[seat].kill()
        return now

    def close(self) -> None:
        """Kill all."""
        for process in set(self._processes.values()):
            process.kill()
        for process in set(self._processes.values()):
            process.join()
        for pipe in set(self._pipes.values()):
            pipe.close()

    def __enter__(self) -> "Group":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self, pipe: connection.Connection) -> None:
        try:
            while pipe.poll():
                event = pipe.recv()
                self._events[event.seat].append(event)
                if event.kind == "failed":
                    raise GroupError(event.value)
        except (EOFError, ConnectionResetError):  # killed
            self._pipes = {seat: each for seat, each in self._pipes.items() if each is not pipe}

    def _first(self, seat: int, kind: str, since: float = 0.0, value: Any = None) -> float | None:
        for event in self._events[seat]:
            if event.kind == kind and event.at >= since and value in (None, event.value):
                return event.at
        return None


def parts(nodes: int, processes: int) -> list[range]:
    """Who shares a process: the last one with nobody, the others as evenly as can be."""
    others, shares = nodes - 1, max(1, min(nodes, processes) - 1)
    bounds = [others * share // shares for share in range(shares + 1)]
    parts = [range(start, end) for start, end in itertools.pairwise(bounds) if start < end]
    return [*parts, range(others, nodes)]
