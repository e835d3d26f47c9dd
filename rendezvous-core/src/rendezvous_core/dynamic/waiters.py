"""User threads that wait for what the thread of a node makes true, come a signal or a fork in the midst."""

import os
import time
from _thread import LockType, allocate_lock
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet

from rendezvous_core.ports.waiting import longest_wait


class Waiters:
    """Those who wait for what one thread makes true; they hold nothing, so a signal handler may wait too."""

    def __init__(self) -> None:
        self._gates: list[tuple[LockType, Callable[[], bool]]] = []
        _all.add(self)

    def wait(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Block until ``condition`` holds; ``False`` at ``deadline`` (of `time.monotonic`).

        Both threads look at it, here and in `wake`. In a forked child it is looked at once more.
        """
        gate = allocate_lock()
        gate.acquire()
        waiting, longest = (gate, condition), longest_wait()
        self._gates.append(waiting)
        try:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                gate.acquire(timeout=min(left, longest))
            return True
        finally:
            self._gates.remove(waiting)

    def wake(self) -> None:
        """Have those go on who have what they wait for."""
        for gate, condition in self._gates.copy():
            if condition():
                _open(gate)


_all: WeakSet[Waiters] = WeakSet()


def _open(gate: LockType) -> None:
    with suppress(RuntimeError):  # it is open already
        gate.release()


def _wake_forked() -> None:
    """Whoever waits for a thread of the parent's looks up, and finds itself in a child."""
    for waiters in _all:
        for gate, _ in waiters._gates:
            _open(gate)


os.register_at_fork(after_in_child=_wake_forked)
