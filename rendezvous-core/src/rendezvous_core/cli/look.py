"""A run as it looks from outside: who is in, who is gone and why, who waits, who is missing."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rendezvous_core.dynamic.history import Happening
from rendezvous_core.protocol.records import Member, Phase, State, named, place

_MOST_LOST = 8
"""So many nodes are shown that were lost from rounds that are over: the latest."""

Standing = Literal["active", "silent", "lost", "left", "done", "waiting", "away"]
"""A participant is active, or silent (no heartbeat, not yet found dead), or gone: lost, left or done.
Others are waiting, silent, or away: in the round before, but not back."""


@dataclass(frozen=True)
class NodeLook:
    """One node of a run."""

    node: str
    rank: int | None
    """Its rank in the round that runs; ``None`` for one that takes no part."""
    standing: Standing
    coordinates: bool
    address: str | None
    """``None``, as all that follows, where the node's record is gone."""
    pid: int | None = None
    heartbeat_age: float | None = None
    """Seconds since its last heartbeat: as observed, or a hint by the clock of its host."""
    metadata: Mapping[str, str] | None = None
    host: str | None = None
    """What its machine calls itself."""
    gone_at: float | None = None
    """When it was found lost, or left, by the clock of the coordinator, where the history tells."""
    last_round: int | None = None
    """The round it was lost from, where that is over."""
    last_rank: int | None = None
    """Its rank in that."""

    @property
    def place(self) -> str:
        """Where it is, for people; empty where that is not known."""
        return place(self.host or "", self.address or "")

    def __str__(self) -> str:
        rank = self.last_rank if self.rank is None else self.rank
        name = named(self.node, self.host or "", self.address or "", self.pid, rank)
        return name if self.gone_at is None else f"{name} at {time_of_day(self.gone_at)}"


@dataclass(frozen=True)
class RunLook:
    """One run at one time."""

    run_id: str
    phase: Phase
    round: int
    """The round that runs, or is being formed."""
    round_id: str
    """Names the latest round that was complete; empty before the first."""
    min_nodes: int
    max_nodes: int
    missing: int
    """How many more nodes the round that is being formed needs."""
    last_call: bool
    """Whether a round will begin soon, even if nobody else comes."""
    nodes: tuple[NodeLook, ...]
    """Participants in rank order, then the others."""
    age: float | None = None
    """Seconds since it began, by the clock of the node that began it."""
    heard: float | None = None
    """Seconds since its latest sign of life, by the clocks of its nodes."""

    @property
    def is_silent(self) -> bool:
        """Whether nobody of those who should be there is heard."""
        return not self.those("active", "waiting")

    def those(self, *standings: Standing) -> list[NodeLook]:
        """The nodes of these standings."""
        return [node for node in self.nodes if node.standing in standings]

    def __str__(self) -> str:
        waiting = self.those("waiting")
        if self.phase == "joining":
            here = f"{len(waiting)} of {node_range(self.min_nodes, self.max_nodes)} nodes here"
            more = f", {self.missing} missing" if self.missing else ", last call" if self.last_call else ""
            absent = _listed("silent", self.those("silent")) + _listed("not back", self.those("away"))
            return f"round {self.round} is forming: {here}{more}" + _listed("here", waiting) + absent
        gone = "".join(_listed(each, self.those(each)) for each in ("silent", "lost", "left"))
        running = len(self.those("active", "silent"))
        if self.phase == "closed":
            rest = f", {running} of its nodes still at work" if running else ""
            return f"the run is closed after round {self.round}{rest}" + gone
        done = f", {count} done" if (count := len(self.those("done"))) else ""
        return f"round {self.round} runs with {running} nodes{done}" + gone + _listed("waiting", waiting)


@dataclass(frozen=True)
class UnreadableRun:
    """A run of which the backend holds something, but nothing that can be read."""

    run_id: str
    problem: str
    phase: Literal["unreadable"] = "unreadable"


def describe_run(
    run_id: str, state: State, members: Mapping[str, Member], ages: Mapping[str, float]
) -> RunLook:
    """Put together what is known of a run; ``ages`` are those of the latest heartbeats."""

    def look(node: str, rank: int | None, standing: Standing) -> NodeLook:
        coordinates = node == state.coordinator and state.phase != "closed"
        member = members.get(node)
        if member is None:
            return NodeLook(node, rank, standing, coordinates, None)
        return NodeLook(
            node,
            rank,
            standing,
            coordinates,
            member.address,
            member.pid,
            ages[node],
            member.metadata,
            member.host,
        )

    def is_heard(node: str) -> bool:
        return node in members and ages[node] <= members[node].dead_after

    def asks(node: str) -> bool:
        return members[node].intent == "join" and not state.has_spent(node, members[node].ticket)

    nodes = []
    if state.phase == "joining":
        former = [seat.node for seat in state.roster if seat.node in members]
        nodes += [look(node, None, "away") for node in former if not asks(node)]
    else:
        for rank, seat in enumerate(state.roster):
            if seat.node in state.gone:
                standing: Standing = state.gone[seat.node]
            elif state.phase == "closed" and seat.node not in members:
                standing = "done"
            else:
                standing = "active" if is_heard(seat.node) else "silent"
            nodes.append(look(seat.node, rank, standing))
    active = {node.node for node in nodes if node.standing in ("active", "silent")}
    others = sorted(members.keys() - active, key=lambda node: (members[node].asked, node))
    waiting = [look(node, None, "waiting" if is_heard(node) else "silent") for node in others if asks(node)]
    present = sum(node.standing == "waiting" for node in waiting)
    settings = state.settings
    now = time.time()
    return RunLook(
        run_id=run_id,
        phase=state.phase,
        round=state.round,
        round_id=state.round_id,
        min_nodes=settings.min_nodes,
        max_nodes=settings.max_nodes,
        missing=max(0, settings.least - present) if state.phase == "joining" else 0,
        last_call=state.phase == "joining" and state.last_call is not None,
        nodes=(*nodes, *waiting),
        age=max(0.0, now - state.began) if state.began else None,
        heard=min((*ages.values(), *([max(0.0, now - state.at)] if state.at else [])), default=None),
    )


def with_the_gone(look: RunLook, history: Sequence[Happening]) -> RunLook:
    """Return ``look`` with what the history tells of those who are gone, also from rounds that are over."""
    gone: dict[str, NodeLook] = {}
    for event in history:
        if event.reason is None or event.reason == "again":
            continue
        for each in event.nodes:
            gone[each.node] = NodeLook(
                each.node,
                None,
                event.reason,
                False,
                each.address or None,
                each.pid,
                host=each.host or None,
                gone_at=event.at,
                last_round=event.round,
                last_rank=each.rank,
            )
    nodes = [_filled(node, gone.pop(node.node, None)) for node in look.nodes]
    lost = [node for node in gone.values() if node.standing == "lost"]
    return replace(look, nodes=(*nodes, *lost[-_MOST_LOST:]))


def _filled(node: NodeLook, gone: NodeLook | None) -> NodeLook:
    if gone is None or node.standing not in ("lost", "left", "done"):
        return node
    if node.address is None:
        node = replace(node, address=gone.address, pid=gone.pid, host=gone.host)
    return replace(node, gone_at=gone.gone_at)


def time_of_day(at: float) -> str:
    """Say for people when something was."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def node_range(least: int, most: int) -> str:
    """Say how many nodes make a group."""
    return str(least) if least == most else f"{least} to {most}"


def _listed(title: str, nodes: list[NodeLook]) -> str:
    return f"; {title}: {', '.join(map(str, nodes))}" if nodes else ""
