"""On which terms a node takes part in a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rendezvous_core.records.ledger import PAGE
from rendezvous_core.records.member import Member
from rendezvous_core.records.ranges import MAX_PATIENCE, check_ranges
from rendezvous_core.records.state import Settings, State

RankPolicy = Callable[[Sequence[Member], Sequence[str]], Sequence[str]]
"""From the members of a new round and the nodes of the one before, both in order, to the ranks."""


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


@dataclass(frozen=True)
class Terms:
    """Raises `ValueError`: ``run`` or ``settings`` cannot be stored; names what is out of which range."""

    run: str
    settings: Settings
    timing: Timing
    ranks: RankPolicy
    page: int = PAGE
    """So many nodes are on a page of a ledger (Rule 24)."""
    reopens: bool = False
    """Whether the node begins a closed run anew (Rule 21)."""
    has_id: bool = True
    """Whether the run was given an id by its users (Rule 22)."""

    def __post_init__(self) -> None:
        settings = self.settings
        check_ranges(State(run=self.run, settings=settings), "the run")
        if settings.least > settings.most:
            raise ValueError(
                f"No world size is a multiple of nodes_multiple_of ({settings.nodes_multiple_of}) and within "
                f"min_nodes ({settings.min_nodes}) and max_nodes ({settings.max_nodes})."
            )
