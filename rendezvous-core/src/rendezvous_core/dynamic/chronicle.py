"""What a coordinator puts down of the run: what changed from one state to the next."""

import time
from collections.abc import Iterator, Sequence

from rendezvous_core.dynamic.history import Happening, Kind, Named, name
from rendezvous_core.protocol.node import Node
from rendezvous_core.records.state import Departure, Seat, State


class Chronicle:
    """Follows the states that one node sees; tells of them while it coordinates."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._restored = 0
        self._disturbed_at: float | None = None
        """Since when a round is called for, on the node's clock."""
        self._lost_touch_at: float | None = None

    def note(self, node: Node) -> list[Happening]:
        """Return what is new since the last call."""
        state, former = node.state, self._state
        led = former is not None and former.coordinator == node.member.node
        events = list(self._note_trouble(node, led))
        if state is None or state is former:
            return events
        self._state = state
        is_mine = state.coordinator == node.member.node
        if is_mine and (former is None or former.serial < state.serial):
            events += self._note_office(node, state, former)
        # What stands under its term it has written, also where it appointed another one with it.
        wrote = led and former is not None and (is_mine or state.term == former.term)
        if wrote and former is not None and former.serial < state.serial:
            events += self._note_changes(node, state, former)
        self._follow(state, node.now)
        return events

    def _follow(self, state: State, now: float) -> None:
        if state.phase == "joining" or (state.phase == "complete" and (state.departed or state.waiting)):
            self._disturbed_at = now if self._disturbed_at is None else self._disturbed_at
        else:
            self._disturbed_at = None

    def _note_trouble(self, node: Node, led: bool) -> Iterator[Happening]:
        if node.trouble is not None:
            if self._lost_touch_at is None:
                self._lost_touch_at = node.now
        elif self._lost_touch_at is not None:
            away, self._lost_touch_at = node.now - self._lost_touch_at, None
            if led and node.state is not None:
                yield _event("reconnected", node.state, [name(node.member.node, node.member)], took=away)

    def _note_office(self, node: Node, state: State, former: State | None) -> Iterator[Happening]:
        """Tell what this node did as it became the coordinator."""
        me = [name(node.member.node, node.member, _rank(state, node.member.node))]
        if node.restored > self._restored:
            self._restored = node.restored
            yield _event("restored", state, me)
        elif former is None and state.serial <= 1:
            yield _event("began", state, me)
        elif former is not None and former.reopened < state.reopened:
            yield _event("reopened", state, me)
        elif former is None or former.coordinator != state.coordinator:
            before = None if former is None else former.coordinator
            yield _event("coordinates", state, me, took=node.deposed_after or None, former=before)

    def _note_changes(self, node: Node, state: State, former: State) -> Iterator[Happening]:
        """Tell what this node decided, or noticed, as the coordinator."""
        yield from _departures(node, state, former)
        if state.phase == "complete" and former.round_id != state.round_id:
            yield self._formed(node, state, former)
        elif state.waiting and not former.waiting and not state.gone:
            yield _event("called", state, [], number=state.waiting)
        if drains := {each: left for each, left in state.draining.items() if each not in former.draining}:
            members = node.coordinator.members
            told = [name(each, members.get(each), _rank(state, each)) for each in drains]
            yield _event("drains", state, told, took=max(drains.values()))
        if state.phase == "closed" != former.phase:
            yield _event("closed", state, [])

    def _formed(self, node: Node, state: State, former: State) -> Happening:
        before = {seat.node for seat in former.roster}
        members = node.coordinator.members
        fresh = [
            name(seat.node, members.get(seat.node), rank)
            for rank, seat in enumerate(state.roster)
            if seat.node not in before
        ]
        took = None if self._disturbed_at is None else node.now - self._disturbed_at
        return _event("formed", state, fresh, took=took, world_size=len(state.roster))


def _departures(node: Node, state: State, former: State) -> Iterator[Happening]:
    """Tell who departed from the round that ran; those who went for the same reason at once, together."""
    over = state.round_id != former.round_id or state.phase == "joining"
    reasons: dict[str, list[Named]] = {}
    for rank, seat in enumerate(former.roster):
        is_gone = seat.node not in former.gone and (over or seat.node in state.gone)
        if former.phase == "complete" and is_gone:
            reason = _reason(node, seat, state.gone.get(seat.node) if not over else None)
            member = node.coordinator.members.get(seat.node)
            reasons.setdefault(reason, []).append(name(seat.node, member, rank))
    for reason, departed in reasons.items():
        silences = [node.coordinator.observer.silence(each.node) or 0.0 for each in departed]
        took = max(silences) if reason == "lost" else None
        yield _event("departed", state, departed, took=took, reason=reason, during=former if over else state)


def _rank(state: State, node: str) -> int | None:
    return next((rank for rank, seat in enumerate(state.roster) if seat.node == node), None)


def _reason(node: Node, seat: Seat, told: Departure | None) -> str:
    member = node.coordinator.members.get(seat.node)
    if member is not None and member.ticket > seat.ticket:
        return "again" if member.intent == "join" else "left"
    if told is not None:
        return told
    if member is not None and member.intent in ("leave", "done"):
        return "done" if member.intent == "done" else "left"
    return "lost" if seat.node in node.coordinator.dead else "left"


def _event(
    kind: Kind,
    state: State,
    nodes: Sequence[Named],
    *,
    number: int | None = None,
    took: float | None = None,
    during: State | None = None,
    **details: object,
) -> Happening:
    return Happening(
        at=time.time(),
        kind=kind,
        round=(during or state).round,
        serial=state.serial,
        nodes=tuple(nodes),
        number=len(nodes) if number is None else number,
        took=None if took is None else round(took, 3),
        **details,  # type: ignore[arg-type]
    )
