"""Tells observers what happens, and people who is missing."""

import time
from collections.abc import Iterable, Mapping

from rendezvous_core.dynamic.chronicle import Chronicle
from rendezvous_core.dynamic.history import Happening, Recorder
from rendezvous_core.plugins.hookspecs import RendezvousEvent
from rendezvous_core.plugins.loading import emit
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.records.member import Member, counted, named
from rendezvous_core.records.state import State

_DEPARTED = {"lost": "was lost", "left": "left", "again": "asks again", "done": "is done"}


class Reporter:
    """Turns what changed in a node since the last look into events, and into history where it coordinates.

    Used by one thread alone.
    """

    def __init__(self, run_id: str, recorder: Recorder) -> None:
        self._run_id = run_id
        self._recorder = recorder
        self._chronicle = Chronicle()
        self._outcome: object = None
        self._state: State | None = None
        self._trouble = False
        self._leaving: frozenset[int] = frozenset()

    def report(self, node: Node) -> None:
        """Emit what is new, and have it written down."""
        state, former = node.state, self._state
        if node.outcome is not self._outcome:
            self._outcome = node.outcome
            if isinstance(node.outcome, Joined):
                number, _, rank, size = node.outcome
                text = f"joined round {number}, of {counted(size)}"
                self._emit(node, "joined", text, rank=rank, world_size=size)
            elif node.outcome is not None:
                self._emit(node, "refused", f"was refused: {node.outcome}")
        if state is not None and state is not former:
            self._state = state
            me = node.member.node
            if state.coordinator == me and (former is None or former.coordinator != me):
                self._emit(node, "coordinates", "coordinates the run")
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
                self._emit(node, "disconnected", f"cannot use the backend: {node.trouble}")
            else:
                self._emit(node, "reconnected", "reaches the backend again")
        happened = self._chronicle.note(node)
        for each in happened:
            if each.kind == "departed":
                self._emit_departures(node, each)
        self._recorder.add(happened)

    def flush(self, patience: float) -> None:
        """Wait until the history is written, at most for a while."""
        self._recorder.flush(patience)

    def _emit_departures(self, node: Node, happening: Happening) -> None:
        reason = happening.reason or "left"
        silence = f", silent for {happening.took:.1f} s" if happening.took is not None else ""
        for departed in happening.nodes:
            self._emit(
                node,
                "departed",
                f"notes that {departed} {_DEPARTED[reason]}{silence}",
                departed=departed.node,
                departed_host=departed.host,
                departed_pid=departed.pid,
                departed_rank=departed.rank,
                reason=reason,
                **({} if happening.took is None else {"silence": happening.took}),
            )

    def _emit(self, node: Node, kind: str, text: str, **details: object) -> None:
        _emit(node, self._run_id, kind, text, details)


def report_waiting(node: Node, run_id: str, text: str) -> None:
    """Emit that a node waits, and what for; outside the main thread."""
    _emit(node, run_id, "waiting", text, {})


def _emit(node: Node, run_id: str, kind: str, text: str, details: Mapping[str, object]) -> None:
    me, joined = node.member, node.joined
    round_number = node.state.round if node.state else None
    who = named(me.node, me.host, me.address, me.pid, joined.rank if joined else None)
    details = {"host": me.host, "pid": me.pid, **details}
    emit(RendezvousEvent(kind, run_id, me.node, round_number, f"{who} {text}", details))


def describe_asks(state: State | None, members: Iterable[Member], min_nodes: int) -> str:
    """Say who is waiting for a round, when they were last heard, and how many are missing."""
    now = time.time()
    asks = [
        member
        for member in members
        if member.intent == "join"
        and not member.holds
        and not (state and state.has_spent(member.node, member.ticket))
    ]
    present = [member for member in asks if now - member.at <= member.dead_after]
    here = ", ".join(describe_member(member, now) for member in asks) or "nobody"
    missing = max(0, min_nodes - len(present))
    return f"{len(present)} of at least {counted(min_nodes)} are there ({here}); {missing} more needed"


def describe_member(member: Member, now: float) -> str:
    """Name one member for people. The age trusts the clock of its host, so it is only a hint."""
    return (
        f"{named(member.node, member.host, member.address, member.pid)}, "
        f"heard {max(0.0, now - member.at):.0f} s ago"
    )
