"""Keeps the threads of a process from all talking at the same time."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TURNS = 16
_PATIENCE = 2.0
"""Seconds after which a thread talks out of turn: others may be held up by a silent server."""

_turns = threading.Semaphore(_TURNS)


@contextmanager
def turn() -> Iterator[None]:
    """Let few threads at a time do what is within.

    One write wakes all nodes of a process. Where those are hundreds, and each of their threads fights
    for the interpreter's lock around every system call, the fight takes longer than the work.
    """
    turns = _turns
    granted = turns.acquire(timeout=_PATIENCE)
    try:
        yield
    finally:
        if granted:
            turns.release()


def _renew() -> None:
    global _turns
    _turns = threading.Semaphore(_TURNS)


os.register_at_fork(after_in_child=_renew)
