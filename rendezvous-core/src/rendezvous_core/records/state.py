"""The fenced state of a run: what is decided of it, under compare-and-set."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from rendezvous_core.records.ranges import (
    Count,
    Id,
    Lease,
    Moment,
    NodeId,
    Nodes,
    Patience,
    RunId,
    Ticket,
    Wait,
)

Phase = Literal["joining", "complete", "closed"]

LastCall = Literal["expected", "wait"]
"""Until nobody is expected any more, or always until it is over."""

Admission = Literal["at_once", "next_round"] | Wait

Departure = Literal["lost", "left", "done"]
"""Why a participant is no longer active: found dead; gone or asking again; finished."""


class Settings(Struct, frozen=True):
    """What all nodes of a run must agree on."""

    min_nodes: Nodes
    max_nodes: Nodes
    nodes_multiple_of: Nodes = 1
    """A world size is a multiple of it (Rule 19)."""
    last_call: LastCall = "expected"
    """When a round that forms again is complete below ``max_nodes`` (Rule 17)."""
    admit_newcomers: Admission = "at_once"
    """When newcomers call a running round to the next one; a number is of seconds (Rule 18)."""
    job: Id = ""
    """Tells jobs apart that meet in a run without an id of its own, as far as that can be told."""

    @property
    def least(self) -> int:
        """The smallest world size."""
        return -(-self.min_nodes // self.nodes_multiple_of) * self.nodes_multiple_of

    @property
    def most(self) -> int:
        """The greatest world size; below `least` where the settings allow none."""
        return self.max_nodes // self.nodes_multiple_of * self.nodes_multiple_of

    def size(self, nodes: int) -> int:
        """The world size of a round that so many nodes ask for; zero where they are too few."""
        size = min(nodes // self.nodes_multiple_of * self.nodes_multiple_of, self.most)
        return size if size >= self.least else 0

    def difference(self, other: "Settings") -> str:
        """Say which values differ: those of this one are here, those of ``other`` there; but for `job`."""
        return ", ".join(
            f"{name} is {getattr(self, name)} here and {getattr(other, name)} there"
            for name in self.__struct_fields__
            if name != "job" and getattr(self, name) != getattr(other, name)
        )


class Seat(Struct, frozen=True, array_like=True):
    """One place in a round; its rank is its index in the roster."""

    node: NodeId
    ticket: Ticket
    dead_after: Patience
    """As in `Member`, whose record may be lost."""


class Apart(Struct, frozen=True, array_like=True):
    """Where a ledger is kept that is too long for the state, and what it comes to (Rule 24)."""

    id: Id
    pages: Nodes
    size: Nodes | Literal[0]
    """How many seats its roster has."""
    active: Count
    departed: Count


class State(Struct, frozen=True, kw_only=True):
    """The decided part of a run: changes only by compare-and-set.

    Roster, gone and spent are its ledger. Where that is kept apart, a state that is read has only the rest,
    its head, until who needs the whole has put both together.
    """

    run: RunId
    settings: Settings
    reopened: Count = 0
    """How often the run was begun anew after it had been closed (Rule 21)."""
    serial: Count = 0
    """Greater at every write than anything the writer has seen, so that bytes do not repeat (Rule 3)."""
    phase: Phase = "joining"
    round: Count = 0
    round_id: Id = ""
    """Names the latest completed round, also where a lost store made its number repeat."""
    roster: tuple[Seat, ...] = ()
    """The participants in rank order; while joining, those of the round before."""
    gone: dict[NodeId, Departure] = {}
    """Participants that are no longer active. Never shrinks within a round (Rule 7)."""
    waiting: Count = 0
    """Nodes that a new round would admit."""
    spent: dict[NodeId, Count] = {}
    """The highest ticket of each node that is used up or given up."""
    apart: Apart | None = None
    coordinator: NodeId | None = None
    term: Id = ""
    """Names the present coordinator's time in office."""
    beat: Count = 0
    """The coordinator's own heartbeat at this write: a state is also a sign of life."""
    draining: dict[NodeId, Patience] = {}
    """Nodes that are to go, and in how many seconds from when that was noted (Rule 23)."""
    lease: Lease = 0.0
    """For how many seconds the coordinator may be silent before another takes over."""
    last_call: Id | None = None
    """Names the last call under way."""
    knock: Id | None = None
    """Names the wait of the newcomers under way, while a round runs (Rule 18)."""
    began: Moment = 0.0
    """Wall-clock time of the first write, at its node: for people, as is ``at``; no decision reads them."""
    at: Moment = 0.0
    """The same of this write."""

    @property
    def is_whole(self) -> bool:
        """Whether the ledger is in it."""
        return self.apart is None or bool(self.roster or self.spent)

    @property
    def head(self) -> "State":
        """What is under compare-and-set: all, or all but the ledger."""
        return replace(self, roster=(), gone={}, spent={}) if self.apart else self

    @property
    def world_size(self) -> int:
        """How many seats the roster has."""
        return len(self.roster) if self.is_whole or not self.apart else self.apart.size

    @property
    def still_active(self) -> int:
        """How many participants are in the round that runs."""
        return len(self.active()) if self.is_whole or not self.apart else self.apart.active

    @property
    def departed(self) -> int:
        """How many participants are gone from the round without being done."""
        if self.apart and not self.is_whole:
            return self.apart.departed
        return sum(reason != "done" for reason in self.gone.values())

    def rank(self, node: str, ticket: int) -> int | None:
        """The rank of this ask in the round that runs, if it won one and is still in it."""
        if self.phase == "complete" and node not in self.gone:
            for rank, seat in enumerate(self.roster):
                if seat.node == node:
                    return rank if seat.ticket == ticket else None
        return None

    def active(self) -> list[Seat]:
        """The participants of a complete round that are still in it."""
        if self.phase != "complete":
            return []
        return [seat for seat in self.roster if seat.node not in self.gone]

    def has_spent(self, node: str, ticket: int) -> bool:
        """Whether this ask was used up or given up."""
        return ticket <= self.spent.get(node, 0)

    @property
    def age(self) -> tuple[int, bool, int, bool, int]:
        """Orders states: one that compares lower than one already seen was lost or rolled back (Rule 11)."""
        return (self.reopened, self.phase == "closed", self.round, self.phase == "complete", self.serial)
