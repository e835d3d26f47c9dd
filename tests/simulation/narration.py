"""Tells in words what happened in a simulated world."""

from collections.abc import Iterable
from typing import Any

from rendezvous_core import RendezvousError
from rendezvous_core.protocol.participant import Joined
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Departure, State

_DEPARTED: dict[Departure, str] = {
    "lost": "was silent for too long: it is lost",
    "left": "has left",
    "done": "is done",
}

_INTENDED = {
    "join": "asks with ticket {ticket}",
    "cancel": "gives up ticket {ticket}, unless it was ranked already",
    "leave": "leaves, with ticket {ticket}",
    "done": "is done, with ticket {ticket}",
}


class Narrator:
    """Follows the notes of a world. Terms are numbered: their names are random."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._terms: dict[str, str] = {}

    def tell(self, notes: Iterable[tuple[float, tuple[Any, ...]]]) -> Iterable[str]:
        """Return a line for each note; heartbeats and renewals, which change nothing, have none."""
        for when, parts in notes:
            for text in self._tell(parts):
                yield f"{when:7.3f}  {text}"

    def _tell(self, parts: tuple[Any, ...]) -> Iterable[str]:
        match parts:
            case (str(name), "writes", State() as state):
                former, self._state = self._state, state
                yield from (f"{name} writes: {text}" for text in self._changes(former, state))
            case (str(name), "puts", Member() as member):
                intent = _INTENDED[member.intent].format(ticket=member.ticket)
                echo = f", and has seen {self._term(member.term)}" if member.term else ""
                yield f"{name} puts its record: it {intent}{echo}."
            case (str(name), "gets", Joined(round=number, rank=rank, world_size=size)):
                yield f"{name} returns from next_rendezvous: rank {rank} of {size} in round {number}."
            case (str(name), "gets", RendezvousError() as error):
                yield f"{name} gets a {type(error).__name__}: {error}"
            case ("rolled back to", None, _):
                self._state = None
                yield "The backend loses all that it held."
            case _:
                yield " ".join(map(str, parts)) + "."

    def _term(self, term: str) -> str:
        return self._terms.setdefault(term, f"term {len(self._terms) + 1}")

    def _changes(self, former: State | None, state: State) -> Iterable[str]:
        if former is None:
            back = f", as last seen: round {state.round} is {state.phase}" if state.round_id else ""
            yield f"the state{back}; it coordinates, in {self._term(state.term)}."
            return
        if state.term != former.term:
            yield f"it coordinates now, in {self._term(state.term)}."
        if state.phase == "closed" != former.phase:
            yield "the run is closed."
        for node in sorted(state.gone.keys() - former.gone.keys()):
            yield f"{node} {_DEPARTED[state.gone[node]]}."
        if state.round_id == former.round_id and former.phase == "complete" and state.phase == "joining":
            yield f"nobody is active in round {former.round} any more; round {state.round} is open."
        if state.round_id != former.round_id:
            yield f"round {state.round} is complete: {', '.join(seat.node for seat in state.roster)}."
        elif state.last_call and not former.last_call:
            yield "enough nodes ask; this is the last call for others."
        elif former.last_call and not state.last_call and state.phase == "joining":
            yield "too few ask now; the last call is off."
        if state.waiting != former.waiting:
            yield f"{state.waiting} waiting."
        if state.term == former.term and state.coordinator != former.coordinator:
            yield f"its heir {state.coordinator} is to coordinate."
