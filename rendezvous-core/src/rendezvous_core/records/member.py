"""The record of a member: what a node reports of itself."""

import re
from typing import Any, Literal

from msgspec import Struct

from rendezvous_core.records.ranges import (
    Address,
    Count,
    Hint,
    Id,
    Moment,
    NodeId,
    Patience,
    Round,
)

Intent = Literal["join", "cancel", "leave", "done"]
"""What a node wants of its ticket: to take part; not to take part unless already ranked; to go, even
from a running round; to go because its work in the round is finished."""


class Member(Struct, frozen=True, kw_only=True):
    """The reported part: written whole, by its own node alone."""

    node: NodeId
    address: Address
    """Where others reach the node."""
    host: Address = ""
    """What its machine calls itself: for people."""
    pid: Count
    beat: Count = 0
    """Greater at every write; readers ignore a record that is not."""
    ticket: Count = 0
    """Counts the asks of this node (Rule 1)."""
    intent: Intent = "join"
    asked: Count = 0
    """The serial of the state that the node had seen when it asked: orders asks without clocks."""
    term: Id = ""
    """The newest term the node has seen: proves that the record is younger than that."""
    rank_hint: Hint | None = None
    """Where the node would like to stand among newcomers (Rule 20)."""
    seen: Round = -1
    """The highest round the node has seen completed."""
    dead_after: Patience
    """For how many seconds this node may be silent before it is taken for dead."""
    at: Moment = 0.0
    """Wall-clock time of the write at its node: for people; no decision reads it."""
    metadata: dict[str, str] = {}
    holds: Id = ""
    """The round that this ticket has won, once the node knows."""
    misses: Id = ""
    """A ledger of which the node found its page missing (Rule 24)."""


def order(member: Member) -> tuple[Any, ...]:
    """Where a member stands among those of whom nothing else is known."""
    hint = member.rank_hint
    return hint is None, hint or 0, natural(member.address), member.node


def natural(text: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts numbers within ``text`` by their values."""
    parts = re.split(r"0*([0-9]+)", text)
    return tuple((len(part) if at % 2 else 0, part) for at, part in enumerate(parts))


def named(node: str, host: str, address: str, pid: int | None, rank: int | None = None) -> str:
    """Name a node for people: host, process, rank where it has one, and the beginning of its id."""
    where = place(host, address)
    process = "" if pid is None else f" pid {pid}"
    seat = "" if rank is None else f" rank {rank}"
    short = f" [{node[:8]}]" if node else ""
    return f"{where}{process}{seat}{short}" if where else f"node{seat}{short}"


def counted(number: int) -> str:
    """Say how many nodes there are."""
    return "1 node" if number == 1 else f"{number} nodes"


def place(host: str, address: str) -> str:
    """Say where a node is, for people."""
    return address if host in ("", address) else f"{host} ({address})"
