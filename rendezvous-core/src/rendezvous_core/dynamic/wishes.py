"""What passes between user threads and the thread of a node: wishes one way, a view of the node the other."""

import itertools
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rendezvous_core.ports.errors import RendezvousError
from rendezvous_core.protocol.node import Joined
from rendezvous_core.protocol.operations import Operation
from rendezvous_core.records.member import Intent

Query = Generator[Operation, Any, Any]
"""Operations that lead to a result."""


class View(NamedTuple):
    """What user threads may know of the node: replaced whole, by the thread alone."""

    outcome: Joined | RendezvousError | None = None
    joined: Joined | None = None
    finished: bool = True
    intent: Intent = "join"
    nodes_waiting: int = 0
    is_closed: bool = False
    leaving: Mapping[int, float] = MappingProxyType({})

    def is_over(self, joined: Joined | None) -> bool:
        """Whether this node has ended its part in the round ``joined``."""
        return self.finished or self.joined is not joined or self.intent != "join"


class Wish:
    """Something that a user thread wants of the thread, and the answer."""

    answer: Any = None
    is_answered = False
    is_void = False
    """Whether nobody wants it any more; it is passed over if it was not begun."""

    def settle(self, answer: Any) -> None:
        """Answer it; `Driver.wait` tells who waits."""
        self.answer = answer
        self.is_answered = True


class Ask(Wish):
    """Take part in the next round. Answer: `Joined`, an error, or ``None`` if the node has left instead."""


class Quit(Wish):
    """Withdraw from everything, or from what one ask led to. Answer: whether that was confirmed."""

    def __init__(self, intent: Intent, ask: Ask | None = None) -> None:
        self.intent, self.ask = intent, ask


class Errand(Wish):
    """Something to be done for the user apart from the node's life. Answer: the result, or an error.

    One that ``insists`` is tried again until ``deadline`` while the backend cannot be reached.
    """

    def __init__(
        self, steps: Callable[[], Generator[Operation, Any, Any]], deadline: float, *, insists: bool = False
    ) -> None:
        self.steps, self.deadline, self.insists = steps, deadline, insists
        self.due = 0.0
        self.pauses = (min(0.01 * 2**number, 1.0) for number in itertools.count())


class Stop(Wish):
    """Drop the node without telling anybody, and close the backend if it is not needed any more."""

    def __init__(self, *, close_backend: bool) -> None:
        self.close_backend = close_backend
