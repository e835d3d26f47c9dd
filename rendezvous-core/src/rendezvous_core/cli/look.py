"""A run as it looks from outside: who is in, who is gone and why, who waits, who is missing."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rendezvous_core.over_register.register import unpacked
from rendezvous_core.ports.errors import RendezvousStateError
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.runs import StoredRun
from rendezvous_core.protocol.codec import decode_member, decode_state
from rendezvous_core.protocol.records import Member, Phase, State, place
from rendezvous_core.registry import create_backend, open_runs
from rendezvous_core.sealing.backend import opened_run
from rendezvous_core.sealing.keys import Keyring, find_keyring

_SETTLED = 10.0
"""For how many seconds those who wait may take to notice that the run is closed."""

_GLANCE = 0.5
"""Seconds between two looks at heartbeats, which wake nobody."""

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

    @property
    def place(self) -> str:
        """Where it is, for people; empty where that is not known."""
        return place(self.host or "", self.address or "")

    def __str__(self) -> str:
        return f"{self.place} pid {self.pid}" if self.address else f"node {self.node[:8]}"


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


class Lookout:
    """Watches a run without taking part in it.

    Raises as `create_backend` does.
    """

    def __init__(self, params: RendezvousParameters) -> None:
        self._run_id = params.run_id
        self._backend = create_backend(params)
        self._beats: dict[str, tuple[int, float | None]] = {}
        self._state_token: Any = None
        self._members_token: Any = None

    def look(self) -> RunLook | None:
        """Return the run as it is now; ``None`` where there is none.

        Raises:
            RendezvousConnectionError: the backend cannot be reached.
            RendezvousStateError: the state cannot be read.
        """
        found = self._backend.get_state()
        members = self._members()
        self._state_token = found[1] if found else None
        if found is None:
            return None
        return _describe(self._run_id, decode_state(found[0]), members, self._ages(members))

    def find_life(self, tell: Callable[[], None]) -> RunLook | None:
        """Watch until somebody gives a sign of life; ``None`` once all have been silent for too long.

        Relies on no clock but this one. Calls ``tell`` before it begins to wait.
        """
        began, first = time.monotonic(), self._backend.get_state()
        former: dict[str, Member] | None = None
        while True:
            members = self._members()
            heard = former is not None and any(
                node not in former or member.beat > former[node].beat for node, member in members.items()
            )
            standing = self._backend.get_state()
            if heard or (standing and first and standing[1] != first[1]):
                return self.look()
            if former is None:
                former = members
                if former:
                    tell()
            patience = max((member.dead_after for member in former.values()), default=0.0)
            left = began + patience - time.monotonic()
            if left <= 0:
                return None
            self._backend.wait_for_change(standing and standing[1], min(left, _GLANCE))

    def wait_for_the_waiting(self) -> RunLook | None:
        """Return a run that was closed, once those who wait have ended or take too long."""
        began = time.monotonic()
        while True:
            self._backend.wait_for_change(self._state_token, _GLANCE)
            look = self.look()
            waiting = look.those("waiting") if look else []
            if not waiting or time.monotonic() - began > _SETTLED:
                return look

    def wait(self, timeout: float) -> None:
        """Block until the run differs from the last look, at most ``timeout`` seconds."""
        self._backend.wait_for_change(self._state_token, timeout, self._members_token)

    def close(self) -> None:
        """Release the backend; a `wait` in another thread ends."""
        self._backend.close()

    def _members(self) -> dict[str, Member]:
        records, self._members_token = self._backend.members()
        return {node: member for node, data in records.items() if (member := _readable(data))}

    def _ages(self, members: Mapping[str, Member]) -> dict[str, float]:
        """How long ago each was heard, by our clock where we have seen it beat, else by its own."""
        now, ages = time.monotonic(), {}
        for node, member in members.items():
            beat, heard = self._beats.get(node, (member.beat, None))
            if member.beat > beat:
                heard = now
            self._beats[node] = (member.beat, heard)
            ages[node] = max(0.0, time.time() - member.at) if heard is None else now - heard
        return ages


def look_at_runs(params: RendezvousParameters) -> list[RunLook | UnreadableRun]:
    """Return all runs at the endpoint of ``params``, by their ids; takes part in none.

    Raises as `open_runs` does.
    """
    with open_runs(params) as runs:
        found = runs.read()
    keyring = find_keyring(params)
    return [_look_at(run_id, run, keyring) for run_id, run in sorted(found.items()) if unpacked(run)]


def _look_at(run_id: str, stored: StoredRun, keyring: Keyring | None) -> RunLook | UnreadableRun:
    try:
        run = opened_run(unpacked(stored) or stored, keyring, run_id)
    except RendezvousStateError as error:
        return UnreadableRun(run_id, str(error))
    members = {node: member for node, data in run.members.items() if (member := _readable(data))}
    ages = {node: max(0.0, time.time() - member.at) for node, member in members.items()}
    try:
        return _describe(run_id, decode_state(run.state), members, ages)
    except RendezvousStateError as error:
        return UnreadableRun(run_id, str(error))


def _readable(data: bytes) -> Member | None:
    try:
        return decode_member(data)
    except RendezvousStateError:
        return None


def _describe(run_id: str, state: State, members: Mapping[str, Member], ages: Mapping[str, float]) -> RunLook:
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


def node_range(least: int, most: int) -> str:
    """Say how many nodes make a group."""
    return str(least) if least == most else f"{least} to {most}"


def _listed(title: str, nodes: list[NodeLook]) -> str:
    return f"; {title}: {', '.join(map(str, nodes))}" if nodes else ""
