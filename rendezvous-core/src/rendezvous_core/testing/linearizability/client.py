"""A client in a process of its own, to be killed; run as ``python -m``.

Its input is a pickled `Task`, whose factory opens the client; then, once that is there and has been told of,
when to start and when to end. Its output are pickled events.
"""

import os
import pickle
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from rendezvous_core.testing.linearizability.journal import Event, Journal


class Task(NamedTuple):
    """What a client has to do, once it is connected."""

    factory: Callable[[str], Any]
    run_id: str
    name: str
    work: Callable[[Any, Journal, float, float], None]


READY = "ready"


def main() -> None:
    """Connect, wait for the start, and work."""
    # What the client's library prints must not come among the events.
    events = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    task: Task = pickle.load(sys.stdin.buffer)
    client = task.factory(task.run_id)

    def note(event: Event | str) -> None:
        events.write(pickle.dumps(event))

    note(READY)
    start, end = pickle.load(sys.stdin.buffer)
    task.work(client, Journal(task.name, note), start, end)
    os._exit(0)  # it may be in the midst of whatever its library does in the background


if __name__ == "__main__":
    main()
