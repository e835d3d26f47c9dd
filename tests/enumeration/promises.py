"""What must hold of every scene: the promises of ``docs/concepts.md``, told from the truth of the world."""

import math
from typing import NamedTuple, NoReturn, TypeVar

from rendezvous_core.protocol.node import Joined
from rendezvous_core.records.invariants import check_state, check_step
from rendezvous_core.records.state import Seat, State
from rendezvous_core.records.terms import Timing
from tests.enumeration.stepping import UNIT, Local

_T = TypeVar("_T")


class Violation(AssertionError):
    """A promise is broken."""


class Round(NamedTuple):
    """A round that was completed."""

    round_id: str
    number: int
    roster: tuple[Seat, ...]


class Truth(NamedTuple):
    """What nobody in the world knows, and the promises are told from."""

    silent: tuple[int, ...]
    """For how many moments each node has been silent."""
    listed: tuple[tuple[int, ...], ...]
    """For each node: how silent all were when it last listed them."""
    tickets: tuple[int, ...]
    """The latest of each node."""
    left: tuple[int, ...]
    """The ticket with which each node left, or wanted to."""
    returned: tuple[int, ...]
    """The number of the round after the latest that each node returned from."""
    rounds: tuple[Round, ...] = ()
    lossless: bool = True
    losses: int = 0
    """How often all records were lost."""


class Promises:
    """Follows what happens, and holds it against the promises."""

    def __init__(self, names: list[str], timing: Timing) -> None:
        self._names = names
        self._patience = math.ceil(timing.dead_after / UNIT)
        self._most = math.ceil((timing.dead_after + 3 * timing.look) / UNIT) + 1

    def begin(self) -> Truth:
        count = len(self._names)
        nobody = (0,) * count
        return Truth((self._most,) * count, ((self._most,) * count,) * count, (1,) * count, nobody, nobody)

    def pass_time(self, truth: Truth, moments: int) -> Truth:
        return truth._replace(silent=tuple(min(each + moments, self._most) for each in truth.silent))

    def on_put(self, truth: Truth, index: int) -> Truth:
        return truth._replace(silent=_set(truth.silent, index, 0))

    def on_list(self, truth: Truth, index: int) -> Truth:
        return truth._replace(listed=_set(truth.listed, index, truth.silent))

    def on_ask(self, truth: Truth, index: int, ticket: int) -> Truth:
        return truth._replace(tickets=_set(truth.tickets, index, ticket))

    def on_leave(self, truth: Truth, index: int, ticket: int) -> Truth:
        return truth._replace(left=_set(truth.left, index, ticket))

    def on_loss(self, truth: Truth) -> Truth:
        return truth._replace(lossless=False)

    def on_members_lost(self, truth: Truth) -> Truth:
        return truth._replace(losses=truth.losses + 1)

    def on_write(self, truth: Truth, writer: int, old: State | None, new: State) -> Truth:
        check_state(new)
        if truth.lossless and old is not None:
            check_step(old, new)
            if truth.losses < 2:
                self._check_departures(truth, writer, old, new)
        if new.phase != "complete":
            return truth
        completed = Round(new.round_id, new.round, new.roster)
        for known in truth.rounds:
            if known.round_id == completed.round_id:
                if known != completed:
                    _fail(f"uniqueness: {known} became {completed}")
                return truth
            if truth.lossless and known.number == completed.number:
                _fail(f"uniqueness: {known} and {completed} have one number")
        if truth.lossless:
            self._check_completion(truth, writer, completed)
        return truth._replace(rounds=(*truth.rounds, completed))

    def _check_departures(self, truth: Truth, writer: int, old: State, new: State) -> None:
        """Exclusivity: nobody alive and in touch is evicted, nobody counts as gone who has not left."""
        if new.phase == "closed":
            return
        goes_on = new.phase == "complete" and new.round_id == old.round_id
        for seat in old.active():
            if goes_on and seat.node not in new.gone:
                continue
            index = self._names.index(seat.node)
            silent = truth.listed[writer][index] >= self._patience
            left = truth.tickets[index] > seat.ticket or truth.left[index] == seat.ticket
            reason = new.gone[seat.node] if goes_on else None
            if not {"lost": silent, "left": left, "done": False, None: left or silent}[reason]:
                _fail(f"exclusivity: {seat.node} counts as {reason or 'gone'}")

    def _check_completion(self, truth: Truth, writer: int, completed: Round) -> None:
        used = {(seat.node, seat.ticket) for known in truth.rounds for seat in known.roster}
        for seat in completed.roster:
            index = self._names.index(seat.node)
            if index != writer and truth.listed[writer][index] >= self._most:
                _fail(f"freshness: {seat.node} is ranked, silent for long")
            if (seat.node, seat.ticket) in used:
                _fail(f"fencing: {seat.node} is ranked twice on ticket {seat.ticket}")

    def on_answer(self, truth: Truth, index: int, local: Local) -> Truth:
        joined, name = local.outcome, self._names[index]
        if not isinstance(joined, Joined):
            _fail(f"{name} gets {joined!r}")
        known = next((each for each in truth.rounds if each.round_id == joined.round_id), None)
        if known is None:
            _fail(f"agreement: {name} returned from a round that never completed")
        seat = known.roster[joined.rank]
        if (known.number, len(known.roster)) != (joined.round, joined.world_size):
            _fail(f"agreement: {name} was told {joined} of {known}")
        if (seat.node, seat.ticket) != (name, local.member.ticket):
            _fail(f"agreement: rank {joined.rank} of {known} is not {name}")
        if truth.left[index] == seat.ticket:
            _fail(f"fencing: {name} left and was ranked")
        if truth.lossless and truth.returned[index] > joined.round:
            _fail(f"finality: {name} went back to round {joined.round}")
        return truth._replace(returned=_set(truth.returned, index, joined.round + 1))


def unsettled(state: State | None, live: dict[str, Local]) -> str | None:
    """What is still missing until each of ``live`` is where it belongs."""
    if not live:
        return None
    if state is None:
        return "there is no state"
    if any(local.member.intent != "join" or local.called for local in live.values()):
        return "somebody is called, or leaves"
    asking = {name for name, local in live.items() if local.outcome is None}
    if state.phase == "joining":
        if asking != live.keys():
            return "somebody is in a round that is over"
        return "enough ask" if len(asking) >= state.settings.least else None
    active = {seat.node for seat in state.active()}
    if set(state.gone.values()) - {"done"}:
        return f"round {state.round} lost {state.gone}"
    if active != live.keys() - asking:
        return f"{active} are in the round"
    if any(live[name].outcome.round_id != state.round_id for name in active):
        return "somebody is in another round"
    return "who asks is not in" if asking and len(state.roster) < state.settings.most else None


def _set(values: tuple[_T, ...], index: int, value: _T) -> tuple[_T, ...]:
    return (*values[:index], value, *values[index + 1 :])


def _fail(message: str) -> NoReturn:
    raise Violation(message)
