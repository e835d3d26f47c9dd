"""What a node asks of its driver, and the durations it keeps."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rendezvous_core.records.ledger import Page
from rendezvous_core.records.member import Member
from rendezvous_core.records.ranges import MAX_PATIENCE
from rendezvous_core.records.state import State

Token = Any


class Read(NamedTuple):
    """Read the state. Answer: ``(State, token)``, or ``None`` where there is none."""


class Write(NamedTuple):
    """Compare-and-set the state. Answer: ``(State, token, written)``, or ``None`` if it is lost."""

    state: State
    token: Token


class Put(NamedTuple):
    """Store this node's record; ``announce`` wakes the coordinator (Rule 15)."""

    member: Member
    announce: bool


class Remove(NamedTuple):
    """Remove the record of a node."""

    node: str


class List(NamedTuple):
    """List the members. Answer: ``(records by node, token)``."""


class File(NamedTuple):
    """Store a ledger, page by page, under an id that is new."""

    ledger: str
    pages: Sequence[Page]


class Fetch(NamedTuple):
    """Look at some pages of a ledger. Answer: the pages, or ``None`` where one is missing."""

    ledger: str
    numbers: Sequence[int]


class Drop(NamedTuple):
    """Delete a ledger that no state names any more."""

    ledger: str
    pages: int


class Wait(NamedTuple):
    """Wait until the state, or with ``members`` also the asks, changed. Answer: whether they did."""

    token: Token
    members: Token
    timeout: float


class Rest(NamedTuple):
    """Do nothing for a time."""

    seconds: float


Operation = Read | Write | Put | Remove | List | File | Fetch | Drop | Wait | Rest
Steps = Generator[Operation, Any, None]


@dataclass(frozen=True)
class Timing:
    """The durations of a node, in seconds. Raises `ValueError` where they are no patience to live with."""

    interval: float = 5.0
    attempts: int = 3
    last_call: float = 30.0
    dead_after: float = field(init=False)
    """For how long a node may be silent."""
    period: float = field(init=False)
    """How often a node gives a sign of life (Rule 2): never fewer than three times in `dead_after`."""
    settle: float = field(init=False, default=0.05)
    """For how long no new ask has come before nobody else is waited for (Rule 17)."""
    look: float = field(init=False)
    """How often a coordinator looks at the members, to date a death well."""

    def __post_init__(self) -> None:
        if not 0 < self.interval * self.attempts <= MAX_PATIENCE:
            raise ValueError(
                f"A node would be dead after {self.attempts} keep-alive intervals of {self.interval:g} s: "
                f"that must be more than none, and at most {MAX_PATIENCE} s."
            )
        object.__setattr__(self, "dead_after", float(self.interval * self.attempts))
        object.__setattr__(self, "period", min(self.interval, self.dead_after / 3))
        object.__setattr__(self, "look", self.period / 5)
