"""The thread of a node, whose place a test takes: it makes one step after the other."""

from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

from rendezvous_core.dynamic.driver import Driver
from rendezvous_core.dynamic.history import Recorder
from rendezvous_core.dynamic.ledgers import Ledgers
from rendezvous_core.dynamic.performing import Performer
from rendezvous_core.dynamic.reporting import Reporter
from rendezvous_core.dynamic.thread import _Waited
from rendezvous_core.dynamic.wishes import Ask, Errand, Wish
from rendezvous_core.protocol.node import Joined
from rendezvous_core.protocol.operations import Operation, Read
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from tests.core.handler.groups import Faulty
from tests.core.handler.lone import lone

JOINED = Joined(0, "first", 0, 1)


class Clock(SimpleNamespace):
    """Stands still unless a test moves it."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Bench:
    """A driver whose thread does not live."""

    def __init__(self, clock: Clock) -> None:
        server = MemoryServer()
        store = MemoryStore(server, "store")
        self.clock = clock
        self.backend = Faulty(MemoryBackend(server, "run"))
        self.node = lone()
        self.driver = Driver(
            self.node,
            Performer(self.backend, Ledgers(store, "run"), 60.0),
            Reporter("run", Recorder(store, "run")),
        )
        self.closed: list[None] = []

    def hear(self, *wishes: Wish | _Waited) -> None:
        for wish in wishes:
            self.driver._hear(wish)

    def in_round(self) -> None:
        """Have the node win a place."""
        self.hear(Ask())
        self.node.outcome = self.node.joined = JOINED
        self.driver._settle()


def raising(*errors: Exception, result: object = None) -> Callable[[], Generator[Operation, Any, Any]]:
    """Steps that fail with each of these, one after the other, and then do not."""
    left = list(errors)

    def steps() -> Generator[Operation, Any, Any]:
        if left:
            raise left.pop(0)
        return result
        yield Read()

    return steps


def errand(
    steps: Callable[[], Generator[Operation, Any, Any]], deadline: float = 200.0, *, insists: bool = False
) -> Errand:
    return Errand(steps, deadline, insists=insists)
