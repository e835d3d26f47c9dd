"""A run as it looks from outside: who is in, who is gone and why, who waits, who is missing."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rendezvous_core.records.member import counted, named, place
from rendezvous_core.records.state import Phase

MOST_NAMES = 8
"""So many nodes of one standing are named in a line; of the others it gives the number."""

Standing = Literal["active", "silent", "lost", "left", "done", "waiting", "away"]
"""A participant is active, or silent (no heartbeat, not yet found dead), or gone: lost, left or done.
Others are waiting, silent, or away: in the round before, but not back."""


@dataclass(frozen=True)
class NodeLook:
    """One node of a run."""

    node: str
    """Its id; empty where its protocol gives it none."""
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
    draining: bool = False
    """Whether it is to go soon."""

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
    min_nodes: int | None
    """``None``, as ``max_nodes``, where that is not known."""
    max_nodes: int | None
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
            here = f"{of_nodes(len(waiting), self)} here"
            more = f", {self.missing} missing" if self.missing else ", last call" if self.last_call else ""
            absent = _listed("silent", self.those("silent")) + _listed("not back", self.those("away"))
            return f"round {self.round} is forming: {here}{more}" + _listed("here", waiting) + absent
        gone = "".join(_listed(each, self.those(each)) for each in ("silent", "lost", "left"))
        gone += _listed("to go", [node for node in self.nodes if node.draining])
        running = len(self.those("active", "silent"))
        if self.phase == "closed":
            rest = f", {running} of its nodes still at work" if running else ""
            return f"the run is closed after round {self.round}{rest}" + gone
        done = f", {count} done" if (count := len(self.those("done"))) else ""
        return f"round {self.round} runs with {counted(running)}{done}" + gone + _listed("waiting", waiting)


@dataclass(frozen=True)
class UnreadableRun:
    """A run of which the backend holds something, but nothing that can be read."""

    run_id: str
    problem: str
    phase: Literal["sealed", "unreadable"] = "unreadable"


def time_of_day(at: float) -> str:
    """Say for people when something was."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def node_range(look: RunLook) -> str:
    """Say how many nodes make a group; empty where that is not known."""
    if look.min_nodes is None:
        return ""
    at_least = "" if look.min_nodes == look.max_nodes else f"{look.min_nodes} to "
    return f"{at_least}{look.max_nodes}"


def of_nodes(number: int, look: RunLook) -> str:
    """Say how many nodes there are of those that make a group."""
    if look.max_nodes is None:
        return counted(number)
    return f"{number} of {node_range(look)} node{'s' if look.max_nodes > 1 else ''}"


def _listed(title: str, nodes: list[NodeLook]) -> str:
    if not nodes:
        return ""
    more = f" and {len(nodes) - MOST_NAMES} more" if len(nodes) > MOST_NAMES else ""
    return f"; {title}: {', '.join(map(str, nodes[:MOST_NAMES]))}{more}"
