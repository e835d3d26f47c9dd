"""Tells observers what happens, and people who is missing."""

import time
from collections.abc import Iterable, Mapping

from rendezvous_core.plugins.hookspecs import RendezvousEvent
from rendezvous_core.plugins.loading import emit
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.protocol.records import Departure, Member, State, place

_DEPARTED: dict[Departure, str] = {"lost": "was lost", "left": "left", "done": "is done"}


class Reporter:
    """Turns what changed in a node since the last look into events. Used by one thread alone."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._outcome: object = None
        self._state: State | None = None
        self._trouble = False
        self._leaving: frozenset[int] = frozenset()

    def report(self, node: Node) -> None:
        """Emit what is new."""
        state, former = node.state, self._state
        if node.outcome is not self._outcome:
            self._outcome = node.outcome
            if isinstance(node.outcome, Joined):
                rank, size = node.outcome.rank, node.outcome.world_size
                self._emit(node, "joined", f"joined as rank {rank} of {size}", rank=rank, world_size=size)
            elif node.outcome is not None:
                self._emit(node, "refused", f"was refused: {node.outcome}")
        if state is not None and state is not former:
            self._state = state
            me = node.member.node
            if state.coordinator == me and (former is None or former.coordinator != me):
                self._emit(node, "coordinates", "coordinates the run")
            if state.coordinator == me and former is not None and former.round_id == state.round_id:
                for lost, reason in state.gone.items():
                    if lost not in former.gone:
                        text = f"notes that node {lost[:8]} {_DEPARTED[reason]}"
                        self._emit(node, "departed", text, departed=lost, reason=reason)
            if state.phase == "closed" and (former is None or former.phase != "closed"):
                self._emit(node, "closed", "sees the run closed")
        if node.leaving.keys() != self._leaving:
            for rank, until in node.leaving.items():
                if rank not in self._leaving:
                    left = round(max(0.0, until - node.now), 3)
                    text = f"is told that rank {rank} goes within {left:g} s"
                    self._emit(node, "drains", text, rank=rank, seconds=left)
            self._leaving = frozenset(node.leaving)
        if (node.trouble is not None) != self._trouble:
            self._trouble = node.trouble is not None
            if node.trouble is not None:
                self._emit(node, "disconnected", f"cannot reach the backend: {node.trouble}")
            else:
                self._emit(node, "reconnected", "reaches the backend again")

    def _emit(self, node: Node, kind: str, text: str, **details: object) -> None:
        _emit(node, self._run_id, kind, text, details)


def report_waiting(node: Node, run_id: str, text: str) -> None:
    """Emit that a node waits, and what for; outside the main thread."""
    _emit(node, run_id, "waiting", text, {})


def _emit(node: Node, run_id: str, kind: str, text: str, details: Mapping[str, object]) -> None:
    round_number = node.state.round if node.state else None
    message = f"node {node.member.node[:8]} on {place(node.member.host, node.member.address)} {text}"
    emit(RendezvousEvent(kind, run_id, node.member.node, round_number, message, details))


def describe_asks(state: State | None, members: Iterable[Member], min_nodes: int) -> str:
    """Say who is waiting for a round, when they were last heard, and how many are missing."""
    now = time.time()
    asks = [
        member
        for member in members
        if member.intent == "join" and not (state and state.has_spent(member.node, member.ticket))
    ]
    present = [member for member in asks if now - member.at <= member.dead_after]
    here = ", ".join(describe_member(member, now) for member in asks) or "nobody"
    missing = max(0, min_nodes - len(present))
    return f"{len(present)} of at least {min_nodes} nodes are there ({here}); {missing} more needed"


def describe_member(member: Member, now: float) -> str:
    """Name one member for people. The age trusts the clock of its host, so it is only a hint."""
    return (
        f"{place(member.host, member.address)} pid {member.pid}, heard {max(0.0, now - member.at):.0f} s ago"
    )
