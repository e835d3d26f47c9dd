"""What the participants of a round are told ahead of time."""

from typing import NamedTuple


class Notice(NamedTuple):
    """Participants of the round are to go, for maintenance or as they are preempted: save the work."""

    ranks: tuple[int, ...]
    """Who is to go."""
    seconds: float
    """How long it is until the first of them goes."""
    mine: bool
    """Whether this node is one of them."""
