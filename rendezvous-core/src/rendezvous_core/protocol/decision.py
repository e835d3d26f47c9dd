"""What a coordinator makes of the state and of what it has seen of the members."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from rendezvous_core.records.changes import spend, undrain, withdraw
from rendezvous_core.records.member import Member, order
from rendezvous_core.records.state import Departure, Seat, State
from rendezvous_core.records.terms import RankPolicy

_FAR = 2**32
"""No run has so many rounds: a record that claims to have seen so many more is damaged."""


class Over(NamedTuple):
    """Which waits of the group are over."""

    last_call: bool = False
    settling: bool = False
    """No new ask has come for a moment, or they have come for a look."""
    gathering: bool = False
    """Newcomers have waited for as long as they are to gather."""


@dataclass(frozen=True)
class Sight:
    """What the coordinator knows of the members at the time of a decision."""

    members: Mapping[str, Member]
    fresh: AbstractSet[str]
    """Nodes proved alive just now: only they are admitted (Rule 5)."""
    dead: AbstractSet[str]
    """Nodes silent for too long: only they are evicted (Rule 4)."""
    forgotten: Sequence[str] = ()
    """Nodes silent for so long that their records are of no more use."""


def decide(state: State, sight: Sight, over: Over, *, new_id: Callable[[], str], ranks: RankPolicy) -> State:
    """Return the state that should stand next; an equal one where nothing is to be changed."""
    for member in sight.members.values():
        if member.intent != "join":
            state = withdraw(state, member.node, member.ticket, member.intent)
    if state.phase == "closed":
        return state
    if state.draining:
        present = sight.members.keys() | {seat.node for seat in state.active()}
        state = undrain(state, state.draining.keys() - present)
    if state.phase != "complete":
        return _complete_if_possible(state, sight, over, new_id, ranks)
    noted = _note_departures(state, sight)
    if noted.active():
        return _count_waiting(noted, sight, over, new_id)
    spent = spend(noted, noted.roster)
    opened = replace(
        noted, phase="joining", round=state.round + 1, gone={}, waiting=0, knock=None, spent=spent
    )
    formed = _complete_if_possible(opened, sight, over, new_id, ranks)
    if formed.phase == "joining" and state.departed and not over.settling:
        # All are called already: in a moment they may be told of the next round as a whole (Rule 16).
        held = _note_departures(state, sight, held=True)
        if held.active():
            return _count_waiting(held, sight, over, new_id)
    return formed


def appoint_heir(state: State, sight: Sight) -> State:
    """Have somebody coordinate after one who goes: an active participant, or else who waits (Rule 10)."""
    active = [seat.node for seat in state.active()]
    for node in (*active, *sorted(sight.fresh)):
        heir = sight.members.get(node)
        if heir is not None and heir.intent == "join" and node not in sight.dead:
            return replace(state, coordinator=node, beat=heir.beat)
    return replace(state, coordinator=None)


def _note_departures(state: State, sight: Sight, *, held: bool = False) -> State:
    """Note who asked again or was found dead (Rule 7).

    Where all are called already, nobody need be told who is back: they are noted together (Rule 16).
    """
    active = state.active()
    gone: dict[str, Departure] = {}
    back: dict[str, Departure] = {}
    for seat in active:
        member = sight.members.get(seat.node)
        if member is not None and member.ticket > seat.ticket:
            (back if member.intent == "join" else gone)[seat.node] = "left"
        elif seat.node in sight.dead:
            gone[seat.node] = "lost"
    if not state.departed or (len(gone) + len(back) == len(active) and not held):
        gone |= back
    if not gone:
        return state
    spent = spend(state, [seat for seat in active if seat.node in gone])
    return replace(state, gone=state.gone | gone, spent=spent)


def _asks(state: State, sight: Sight) -> list[Member]:
    """The asks of the living."""
    active = {seat.node for seat in state.active()}
    return [
        member
        for node, member in sight.members.items()
        if node not in sight.dead
        and node not in active
        and node not in state.draining
        and member.intent == "join"
        and not member.holds
        and not state.has_spent(node, member.ticket)
    ]


def _count_waiting(state: State, sight: Sight, over: Over, new_id: Callable[[], str]) -> State:
    """Count who waits for the next round, and so calls for it (Rules 7, 18 and 19)."""
    settings, active = state.settings, len(state.active())
    living = _asks(state, sight)
    fresh = sum(member.node in sight.fresh for member in living)
    # Whoever is done keeps its seat: its leaving calls nobody in.
    if len(state.roster) - state.departed >= settings.most:
        return replace(state, waiting=0, knock=None)
    if state.departed:
        return replace(state, waiting=fresh)
    if settings.size(active + len(living)) <= active:
        return replace(state, waiting=0, knock=None)
    grows = settings.size(active + fresh) > active
    if settings.admit_newcomers == "at_once":
        return replace(state, waiting=fresh if grows else 0)
    if settings.admit_newcomers == "next_round":
        return replace(state, waiting=0)
    # After a takeover newcomers need a moment to prove themselves alive; their wait goes on.
    admitted = grows and state.knock and over.gathering
    return replace(state, waiting=fresh if admitted else 0, knock=state.knock or new_id())


def _complete_if_possible(
    state: State, sight: Sight, over: Over, new_id: Callable[[], str], ranks: RankPolicy
) -> State:
    """Complete the round, or call a last call, where enough ask (Rules 6 and 17)."""
    settings = state.settings
    living = _asks(state, sight)
    if len(living) < settings.least:
        return replace(state, last_call=None)
    asks = [member for member in living if member.node in sight.fresh]
    if len(asks) < settings.least:
        # After a takeover the others need a moment to prove themselves alive; last call goes on.
        return state
    seen = {
        node: member.seen
        for node, member in sight.members.items()
        if state.round <= member.seen < state.round + _FAR
    }
    if not seen.keys() <= sight.dead:
        # Somebody alive knows a later state than the one that a failing store came back with (Rule 11).
        return state
    former = {seat.node: rank for rank, seat in enumerate(state.roster)}
    # Everybody of the last round has come back or is gone by now; in a first round nobody can be named.
    reforms = any(member.node in former for member in asks)
    together = settings.last_call == "expected" and reforms and len(asks) == len(living) and over.settling
    if len(asks) < settings.most and not together and not (over.last_call and state.last_call):
        return state if state.last_call else replace(state, last_call=new_id())
    # Those of the last round go first, then those who asked first.
    asks.sort(key=lambda member: (former.get(member.node, len(former)), member.asked, order(member)))
    chosen = asks[: settings.size(len(asks))]
    ranked = ranks(chosen, list(former))
    seats = {member.node: Seat(member.node, member.ticket, member.dead_after) for member in chosen}
    return replace(
        state,
        phase="complete",
        round=max([state.round, *(round_seen + 1 for round_seen in seen.values())]),
        round_id=new_id(),
        roster=tuple(seats[node] for node in ranked),
        last_call=None,
    )
