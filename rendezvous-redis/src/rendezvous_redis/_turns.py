"""Keeps the threads of a process from all talking at the same time."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

TURNS = 16
PATIENCE = 2.0
"""Seconds after which a thread talks out of turn: others may be held up by a silent server."""

_turns = threading.Semaphore(TURNS)


@contextmanager
def turn() -> Iterator[None]:
    """Let few threads at a time do what is within.

    Where hundreds of nodes share a process, and each of their threads fights for the interpreter's lock
    around every system call, the fight takes longer than the work.
    """
    granted = take_turn(PATIENCE)
    try:
        yield
    finally:
        if granted:
            end_turn()


def take_turn(timeout: float) -> bool:
    """Wait for a turn at most ``timeout`` seconds; whether there is one, to be ended."""
    return _turns.acquire(timeout=max(0.0, timeout))


def end_turn() -> None:
    """Give the turn to the next one."""
    _turns.release()


def _renew() -> None:
    global _turns
    _turns = threading.Semaphore(TURNS)


os.register_at_fork(after_in_child=_renew)
