"""What must hold of every run: checked at every write, every return, every withdrawal, and at the end.

What can be told from states alone is in the protocol's own invariants. The checks here know the truth
of the simulated world (what was applied when, who asked for what) and nothing of how the protocol works.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

from rendezvous_core.protocol.node import Joined
from rendezvous_core.protocol.operations import List, Operation, Put, Read, Wait, Write
from rendezvous_core.records.invariants import check_state, check_step
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Departure, Seat, State

if TYPE_CHECKING:
    from tests.simulation.machine import Machine
    from tests.simulation.world import World

CLOCK_TOLERANCE = 0.003
"""The rates of two clocks differ by no more."""

MOST_OPERATIONS = 150
"""Of one node in one of its periods, in the worst of times."""


class Violation(AssertionError):
    """An invariant does not hold."""


class Invariants:
    """Follows one world. Where the backend lost writes, what depends on them is not asked."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._rounds: dict[str, State] = {}
        self._numbers: dict[int, str] = {}
        self._gone: dict[str, dict[str, Departure]] = {}
        self._seats: dict[tuple[str, int], str] = {}
        self._signs: dict[str, list[float]] = {}
        self._beats: dict[str, int] = {}
        self._looks: dict[str, list[float]] = {}
        self._losses: list[float] = []
        self._windows: dict[str, tuple[float, int]] = {}
        self._healed = (0.0, 0.0)
        self._sent = 0.0
        """When the write was sent that is looked at."""
        self.tally: Counter[tuple[str, type]] | None = None
        """Counts operations while it is set."""

    def on_put(self, member: Member) -> None:
        self._tell(member.node, member.beat)

    def _tell(self, node: str, beat: int) -> None:
        if beat > self._beats.get(node, -1):  # what comes again, or late, is no sign of life
            self._beats[node] = beat
            self._signs.setdefault(node, []).append(self._world.now)

    def on_list(self, reader: "Machine") -> None:
        self._looks.setdefault(reader.name, []).append(self._world.now)

    def on_members_lost(self) -> None:
        self._losses.append(self._world.now)

    def _silence(self, writer: "Machine", node: str) -> float:
        """For how long ``node`` had been silent when ``writer`` last listed the members before it wrote.

        One loss of the records is told by those that are missing, and evicts nobody (Rule 4). What was put
        after it and is lost as well, before a listing shows it, is no sign of life to anybody: then the
        backend did not keep what it acknowledged, on which the promises rest.
        """
        looks = self._looks.get(writer.name, [])
        latest = bisect_right(looks, self._sent)
        at = looks[latest - 1] if latest else 0.0
        for sign in reversed(self._signs.get(node, [])):
            if sign <= at:
                shown = looks[bisect_left(looks, sign)]
                if not any(sign <= loss <= shown for loss in self._losses[1:]):
                    return at - sign
        return at

    def on_heal(self, latency: float) -> None:
        self._healed = (self._world.now, latency)

    def _latency(self, writer: "Machine") -> float:
        """Of what led to a write: its latest listings may have been under way when all was healed."""
        healed, before = self._healed
        looks = self._looks.get(writer.name, [])
        return before if looks[-3:] and looks[-3:][0] < healed else self._world.faults.latency

    def on_operation(self, machine: "Machine", operation: Operation) -> None:
        """Bounded cost: no busy loops. By a clock that stands still no period ends, and nothing falls due."""
        now = self._world.now
        start, count = self._windows.get(machine.name, (now, 0))
        if now - start > machine.timing.period:
            start, count = now, 0
        self._windows[machine.name] = (start, count + 1)
        if self.tally is not None:
            self.tally[machine.name, type(operation)] += 1
        if count > MOST_OPERATIONS and not machine.stood_still(start):
            _fail(f"{machine.name} performs more than {count} operations in one period, now {operation}")

    # Writes

    def on_write(self, writer: "Machine", old: State | None, new: State, sent: float | None = None) -> None:
        """Look at a write as it is applied; ``sent`` before now where it comes late."""
        self._sent = self._world.now if sent is None else sent
        check_state(new)
        if self._world.backend.lossless and old is not None:
            self._check_step(old, new)
            self._check_departures(writer, old, new)
        if new.phase == "complete":
            known = self._rounds.get(new.round_id)
            if known is None:
                self._check_completion(writer, new)
            elif known.roster != new.roster or known.round != new.round:
                _fail(f"uniqueness: round {new.round_id} has two rosters")
        if new.coordinator == writer.name:
            self._tell(writer.name, new.beat)  # before the put of it, where that is due

    def _check_step(self, old: State, new: State) -> None:
        """The protocol's own invariants, here between what truly stood and what truly follows."""
        check_step(old, new)
        if new.waiting > len(self._world.machines) - len(new.active()):
            _fail(f"{new.waiting} wait, more than there are")

    def _check_departures(self, writer: "Machine", old: State, new: State) -> None:
        """Exclusivity: nobody alive and in touch is evicted, nobody counts as gone who has not left."""
        if old.phase != "complete" or new.phase == "closed":
            return
        if new.phase == "complete" and new.round_id == old.round_id:
            departed: dict[str, Departure | None] = {
                node: new.gone[node] for node in new.gone if node not in old.gone
            }
        else:
            departed = {seat.node: None for seat in old.active()}
        for seat in old.active():
            if seat.node in departed:
                self._check_departure(writer, seat, departed[seat.node])

    def _check_departure(self, writer: "Machine", seat: Seat, reason: Departure | None) -> None:
        machine = self._world.machines[seat.node]
        quits = machine.quits.get(seat.ticket, set())
        left, done = machine.node.member.ticket > seat.ticket or "leave" in quits, "done" in quits
        silence = self._silence(writer, seat.node)
        dead = silence >= machine.timing.dead_after * (1 - CLOCK_TOLERANCE)
        truth = {"lost": dead, "left": left, "done": done, None: left or dead or done}
        if not truth[reason]:
            _fail(
                f"exclusivity: {seat.node} counts as {reason or 'gone'}, but was silent for "
                f"{silence:.3f} s of {machine.timing.dead_after:.3f}, quit {quits} and "
                f"holds ticket {machine.node.member.ticket}"
            )

    def _check_completion(self, writer: "Machine", new: State) -> None:
        world = self._world
        self._rounds[new.round_id] = new
        for seat in new.roster:
            machine = world.machines[seat.node]
            if machine.settings != new.settings:
                _fail(f"{seat.node} is in a round of other settings")
            if not world.backend.lossless:
                continue
            silence = 0.0 if machine is writer else self._silence(writer, seat.node)
            silence -= writer.stood_still(world.now - silence)  # by that clock no time went by
            slack = 3 * writer.timing.look + 20 * self._latency(writer) + 2 * writer.slow_listing
            if silence > 1.01 * seat.dead_after + slack:
                _fail(
                    f"freshness: {seat.node} is ranked, silent for {silence:.3f} s of {seat.dead_after:.3f}"
                )
            if seat.ticket in machine.given_up:
                _fail(f"fencing: {seat.node} is ranked on ticket {seat.ticket}, which it gave up")
            if (seat.node, seat.ticket) in self._seats:
                _fail(f"fencing: {seat.node} is ranked twice on ticket {seat.ticket}")
            self._seats[seat.node, seat.ticket] = new.round_id
        if world.backend.lossless and self._numbers.setdefault(new.round, new.round_id) != new.round_id:
            _fail(f"uniqueness: two rounds are number {new.round}")

    # Answers

    def on_return(self, machine: "Machine", joined: Joined) -> None:
        state = self._rounds.get(joined.round_id)
        if state is None:
            _fail(f"agreement: {machine.name} returned from a round that never completed")
        seat = Seat(machine.name, machine.node.member.ticket, machine.timing.dead_after)
        if (state.round, len(state.roster)) != (joined.round, joined.world_size):
            _fail(f"agreement: {machine.name} was told {joined}")
        if state.roster[joined.rank] != seat:
            _fail(f"agreement: rank {joined.rank} is {state.roster[joined.rank]}, not {seat}")
        if any(former.round_id == joined.round_id for former in machine.returned):
            _fail(f"finality: {machine.name} returned twice from round {joined.round}")
        if machine.quits.get(seat.ticket, set()) & {"leave", "done"}:
            _fail(f"fencing: {machine.name} left and was ranked")
        if self._world.backend.lossless and machine.returned and machine.returned[-1].round >= joined.round:
            _fail(f"{machine.name} went from round {machine.returned[-1].round} to {joined.round}")

    def on_given_up(self, machine: "Machine", ticket: int) -> None:
        """A cancelled ask was in no round, unless it was too late for its node anyway."""
        state = self._world.backend.state
        round_id = self._seats.get((machine.name, ticket))
        if round_id is None or machine.quits.get(ticket) != {"cancel"} or not self._world.backend.lossless:
            return
        if state is not None and state.phase == "complete" and state.round_id == round_id:
            reason = state.gone.get(machine.name)
            if reason != "lost":
                _fail(f"fencing: {machine.name} gave up ticket {ticket}, which was ranked, and is {reason}")


def unsettled(world: "World") -> str | None:
    """What is still missing until every live node is where it belongs; ``None`` when all is well."""
    state = world.backend.state
    live = [machine for machine in world.live if not machine.node.finished]
    if not live:
        return None
    for machine in live:
        if machine.quitting:
            return f"{machine.name} wants to go"
        if not machine.answered and not machine.asking:
            return f"{machine.name} has an answer to take"
    if state is None:
        return "there is no state"
    asking = [machine for machine in live if machine.asking]
    if state.phase == "closed":
        return f"{asking[0].name} asks of a closed run" if asking else None
    own = [machine for machine in asking if machine.settings == state.settings]
    if own != asking:
        return "a node of other settings waits for its error"
    if state.phase == "joining":
        inside = [machine for machine in live if machine.inside]
        if inside:
            return f"{inside[0].name} is in a round that is over"
        if len(own) >= state.settings.least:
            return f"{len(own)} nodes wait for a round of {state.settings.min_nodes}"
        return None
    if set(state.gone.values()) - {"done"}:
        return f"round {state.round} lost {state.gone}"
    for seat in state.active():
        machine = world.machines[seat.node]
        if machine not in live or machine.inside is None or machine.inside.round_id != state.round_id:
            return f"{seat.node} is not in round {state.round}"
        if machine.node.nodes_waiting:
            return f"{seat.node} is called to a new round"
    if {machine.name for machine in live if machine.inside} != {seat.node for seat in state.active()}:
        return "a node thinks that it is in the round"
    settings, active = state.settings, len(state.active())
    called_for = len(state.roster) < settings.most and settings.size(active + len(own)) > active
    if called_for and settings.admit_newcomers != "next_round":
        return f"{len(own)} nodes wait outside a round that is not full"
    return None


def check_progress(world: "World") -> None:
    """Once nothing fails any more, all that live end where they belong in time, and stay there."""
    timings = [machine.timing for machine in world.machines.values()]
    # Late operations, detection, the patience of nodes that failed as coordinators, last call.
    seconds = 10.0 + max(6 * timing.dead_after + 6 * timing.period + timing.last_call for timing in timings)
    admissions = [machine.settings.admit_newcomers for machine in world.machines.values()]
    seconds += max([admission for admission in admissions if isinstance(admission, float)], default=0.0)
    deadline = world.now + seconds
    periods = [machine.timing.period for machine in world.live] or [1.0]
    while True:
        while reason := unsettled(world):
            if world.now > deadline:
                _fail(f"progress: after {seconds:.1f} s, {reason}")
            world.run(min(periods) / 2)
        # A silence that began before may still come to light.
        before = world.backend.state
        world.run(max(periods))
        tally = world.invariants.tally = Counter()
        began, rung = world.now, world.backend.bell
        world.run(2 * max(periods))
        world.invariants.tally = None
        after = world.backend.state
        if not unsettled(world) and (not before or not after or before.round_id == after.round_id):
            break
    if before and after and after.phase != "closed" and before.term == after.term:
        for machine in world.live:
            count = (world.now - began) / machine.timing.period
            writes, news = after.serial - before.serial, world.backend.bell - rung
            _check_cost(machine, tally, count, writes, news, machine.name == after.coordinator)


def _check_cost(
    machine: "Machine",
    tally: "Counter[tuple[str, type]]",
    periods: float,
    writes: int,
    news: int,
    leads: bool,
) -> None:
    """Idle cost: one put a period, one read a write, and what the coordinator does for all and their news."""
    limits: dict[type, float]
    if leads:
        looks = 6 * periods
        limits = {Put: periods, Read: 0.1 * periods + news, Wait: looks, Write: 1.1 * periods, List: looks}
    else:
        limits = {Put: periods, Read: writes + periods, Wait: writes + 3 * periods, Write: -2, List: -2}
    for operation, limit in limits.items():
        count = tally[machine.name, operation]
        if count > limit + 3:
            _fail(f"cost: {machine.name} did {operation.__name__} {count} times in {periods:.1f} periods")


def _fail(message: str) -> NoReturn:
    raise Violation(message)
