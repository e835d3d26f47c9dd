"""What a node asks of its driver."""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

from rendezvous_core.records.ledger import Page
from rendezvous_core.records.member import Member
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
    """Wait until the state, or with ``members`` also the asks, changed.

    Answer: whether they did, or ``(State, token)``, what the state has changed to.
    """

    token: Token
    members: Token
    timeout: float


class Rest(NamedTuple):
    """Do nothing for a time."""

    seconds: float


Operation = Read | Write | Put | Remove | List | File | Fetch | Drop | Wait | Rest
Steps = Generator[Operation, Any, None]
