"""Histories of concurrent clients, some of which are killed, over connections that break."""

import os
import pickle
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, ClassVar

from rendezvous_core.testing.linearizability import (
    Operation,
    describe,
    find_queue_violation,
    find_violation,
)
from rendezvous_core.testing.linearizability.client import READY, Task
from rendezvous_core.testing.linearizability.journal import Event, Journal, gather
from rendezvous_core.testing.linearizability.models import Model
from rendezvous_core.testing.suites.base import EFFORT, Link, Suite, missing
from rendezvous_core.testing.suites.threads import start

Work = Callable[[Any, Journal, float, float], None]

VICTIMS = 2
"""How many clients are processes, and are killed."""

SETTLE = 0.1


class Histories(Suite):
    """Clients that do this and that at the same time; what each was told must fit together."""

    history: ClassVar[float] = 0.8
    """Seconds that one history takes; there are as many as `EFFORT` says."""

    @staticmethod
    def _portable(factory: Callable[[str], Any], fixture: str) -> Callable[[str], Any]:
        """Return a factory that a process of its own can be given."""
        with suppress(pickle.PicklingError, AttributeError, TypeError):
            pickle.dumps(factory)
            return factory
        missing(
            "process_factory",
            f"as '{fixture}', but one that pickle takes, for clients in processes of their own, such as "
            "functools.partial(MyClient, endpoint)",
        )

    def _run(
        self, clients: Sequence[Any], work: Work, tasks: Sequence[Task] = (), link: Link | None = None
    ) -> list[Operation]:
        """Have clients and the victims of ``tasks`` work, while the ``link`` fails; return what happened."""
        events: list[Event] = []
        with _processes(tasks, events, self.patience) as victims:
            begin = time.monotonic() + SETTLE
            end = begin + self.history
            for victim in victims:
                victim.go(begin, end)
            working = [
                start(work, client, Journal(f"client{number}", events.append), begin, end)
                for number, client in enumerate(clients)
            ]
            killing = start(self._kill, victims, begin)
            with _faults(link, begin):
                for future in (*working, killing):
                    future.result(self.history + 3 * self.patience)
        return gather(events)

    def _kill(self, victims: Sequence["_Victim"], begin: float) -> None:
        for victim in victims:
            moment = begin + random.uniform(0.2, 0.9) * self.history
            time.sleep(max(0.0, moment - time.monotonic()))
            victim.kill()

    @staticmethod
    def _judge(history: Sequence[Operation], model: Model) -> None:
        violation = find_violation(history, model)
        assert not violation, f"no order of these operations explains their results:\n{describe(violation)}"

    @staticmethod
    def _judge_queue(history: Sequence[Operation]) -> None:
        found = find_queue_violation(history)
        assert found is None, f"{found[0]}:\n{describe(found[1])}"


def times() -> range:
    """For how many histories there is time."""
    return range(max(1, round(EFFORT)))


class _Victim:
    """A client in a process of its own."""

    def __init__(self, task: Task, events: list[Event], errors: IO[bytes]) -> None:
        self._errors = errors
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rendezvous_core.testing.linearizability.client"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        self._events = events
        self._ready = threading.Event()
        self._write(task)
        self._reading = start(self._read)

    def wait_until_ready(self, patience: float) -> None:
        # A fresh interpreter on a busy machine may take long to import what a test module imports.
        if self._ready.wait(3 * patience) and not self._reading.done():
            return
        self.kill()
        self._errors.seek(0)
        raise AssertionError(
            "a client in a process of its own has not begun; its factory must work where no fixture ran:\n"
            f"{self._errors.read().decode(errors='replace')}"
        )

    def go(self, begin: float, end: float) -> None:
        self._write((begin, end))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reading.result()

    def _write(self, message: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(pickle.dumps(message))
            self._process.stdin.flush()
        except OSError:  # it has ended, and its errors say why
            self._ready.set()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while True:
                event = pickle.load(self._process.stdout)
                self._ready.set()
                if event != READY:
                    self._events.append(event)
        except (EOFError, pickle.UnpicklingError):  # killed, perhaps in the middle of a word
            pass
        finally:
            self._ready.set()


@contextmanager
def _processes(tasks: Sequence[Task], events: list[Event], patience: float) -> Iterator[list[_Victim]]:
    victims: list[_Victim] = []
    with tempfile.TemporaryFile() as errors:
        try:
            victims += [_Victim(task, events, errors) for task in tasks]
            for victim in victims:
                victim.wait_until_ready(patience)
            yield victims
        finally:
            for victim in victims:
                victim.kill()


@contextmanager
def _faults(link: Link | None, begin: float) -> Iterator[None]:
    """Meanwhile cut connections and lose replies, at random."""
    if link is None:
        yield
        return
    over = threading.Event()

    def disturb() -> None:
        over.wait(max(0.0, begin - time.monotonic()))
        while not over.wait(random.uniform(0.03, 0.15)):
            if random.random() < 0.3:
                link.cut()
                continue
            with link.lose_reply(random.randrange(4)) as lost:
                lost.wait(0.1)

    disturbing = start(disturb)
    try:
        yield
    finally:
        over.set()
        disturbing.result()
