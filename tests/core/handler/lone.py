"""A node without a thread: in whatever state a test puts it."""

from typing import Any

from rendezvous_core.plugins.ranks import keep_ranks
from rendezvous_core.protocol.node import Node
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Seat, Settings, State
from rendezvous_core.records.terms import Terms, Timing

ME, OTHER = "0123456789abcdef", "fedcba9876543210"


def member(node: str = ME, **fields: Any) -> Member:
    """The record of a node, with its first ask."""
    common: dict[str, Any] = {"address": "10.0.0.1", "host": "host", "pid": 7, "dead_after": 3.0, "ticket": 1}
    return Member(node=node, **common | fields)


def state(**fields: Any) -> State:
    """The state of the run ``run``."""
    common: dict[str, Any] = {"run": "run", "settings": Settings(1, 4)}
    return State(**common | fields)


def seats(*nodes: str) -> tuple[Seat, ...]:
    """A roster in which each has its first ticket."""
    return tuple(Seat(node, 1, 3.0) for node in nodes)


def lone(**fields: Any) -> Node:
    """A node with these attributes."""
    node = Node(member(), Terms("run", Settings(1, 4), Timing(1.0, 3, 1.0), keep_ranks), lambda: "term")
    for name, value in fields.items():
        setattr(node, name, value)
    return node
