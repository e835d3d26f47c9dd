"""The processes of the simulated world, and their users."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rendezvous_core import RendezvousConnectionError, RendezvousError, RendezvousStateError
from rendezvous_core.plugins.ranks import keep_ranks
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.protocol.operations import List, Operation, Put, Remove, Rest, Steps, Wait, Write
from rendezvous_core.records.ledger import PAGE
from rendezvous_core.records.member import Intent, Member
from rendezvous_core.records.state import Settings
from rendezvous_core.records.terms import Terms, Timing
from tests.simulation.faults import NO_FAULTS

if TYPE_CHECKING:
    from tests.simulation.world import World

RUN = "run"


class Nap:
    """What waits for something else than for what its user wants."""

    def __init__(self, steps: Steps, operation: Operation) -> None:
        self.steps = steps
        self.hears = type(operation) is Wait
        """Whether it takes the answer to an earlier wait for that to its own."""


Asker = Steps | Nap
"""Who asked for an operation, and is told the answer."""


class Machine:
    """One process: a `Node`, its background thread, and a user who works and asks again."""

    clock_stands = False
    """Whether its clock stands still while it sleeps."""

    def __init__(
        self,
        world: "World",
        name: str,
        *,
        min_nodes: int = 2,
        max_nodes: int = 4,
        interval: float = 1.0,
        attempts: int = 3,
        last_call: float = 2.0,
        address: str = "same",
        rank_hint: int | None = None,
        agreed: Mapping[str, Any] | None = None,
        node_type: type[Node] = Node,
        reopens: bool = False,
        has_id: bool = True,
        page: int = PAGE,
    ) -> None:
        self.world, self.name = world, name
        self.offset, self.rate = world.random.uniform(0, 1e6), world.random.uniform(0.999, 1.001)
        self.timing = Timing(interval, attempts, last_call)
        self.settings = Settings(min_nodes, max_nodes, **(agreed or {}))
        member = Member(
            node=name, address=address, pid=1, dead_after=self.timing.dead_after, rank_hint=rank_hint
        )
        terms = Terms(RUN, self.settings, self.timing, keep_ranks, page=page, reopens=reopens, has_id=has_id)
        self.node = node_type(member, terms, world.new_id)
        self.crashed = self.paused = self.cut_off = False
        self.deaf = False
        """Whether what it sends arrives, and no answer comes back."""
        self.clock_stopped_at: float | None = None
        self._stops: list[tuple[float, float]] = []
        self.diligent = True
        """Whether its user asks again as soon as a new round is called for."""
        self.broken: type | None = None
        """A kind of operation that always fails here."""
        self.returned: list[Joined] = []
        self.quits: dict[int, set[Intent]] = {}
        """How its user tried to withdraw each ticket."""
        self.given_up: set[int] = set()
        """Tickets whose withdrawal was confirmed to the user before they were answered."""
        self.answered = True
        """Whether the user has taken the answer to the latest ask."""
        self.slowness = 0.0
        """Added to the time that every message takes."""
        self.slow_listing = 0.0
        """Added to the time that a listing takes; what it shows is of any moment in it."""
        self.lists = False
        """Whether it waits for a listing."""
        self._slept_at = 0.0
        self._life: Steps | None = None
        self._inbox: list[tuple[Asker, Any, Exception | None]] = []
        self._errands: list[Callable[[], None]] = []
        self._nap: Nap | None = None
        self._news: Any = None
        """What a wait has told that its user did not let come to its end."""

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # The user

    def ask(self) -> None:
        if self._held_up(self.ask) or not (self.answered or self.node.finished or self.quitting):
            return
        self.world.note(self.name, "asks")
        resting = self.node.finished
        self.answered = False
        self._tick()
        self.node.ask()
        if resting and not self.node.finished:
            self._live()
        else:
            self._rouse()
        self._learn()

    def _live(self) -> None:
        """Start the background thread, or have it started when the former one has ended."""
        if self._life is None:
            self._life = self.node.live()
            self._resume(self._life)

    def quit(self, intent: Intent) -> None:
        if self._held_up(lambda: self.quit(intent)) or self.node.finished:
            return
        self.world.note(self.name, "wants to be done" if intent == "done" else f"wants to {intent}")
        self.quits.setdefault(self.node.member.ticket, set()).add(intent)
        self._tick()
        self.node.quit(intent)
        self._rouse()
        self._learn()

    def close(self) -> None:
        if not self._held_up(self.close):
            self.world.note(self.name, "closes")
            self._resume(self._closing())

    def _closing(self) -> Steps:
        while True:
            try:
                yield from self.node.close()
            except RendezvousConnectionError:
                yield Rest(0.05)
            else:
                return

    def _rouse(self) -> None:
        """Have the node take up what its user wants, where it waits for something else."""
        if self._nap is not None:
            self._resume(self._nap, False)

    def _learn(self) -> None:
        """React as a user does to what the node has learnt."""
        node = self.node
        if not self.answered:
            if node.outcome is not None:
                self.answered = True
                self.world.note(self.name, "gets", node.outcome)
                if isinstance(node.outcome, Joined):
                    self.world.invariants.on_return(self, node.outcome)
                    self.returned.append(node.outcome)
            elif node.finished:
                self.answered = True
                self.world.note(self.name, "has withdrawn")
                self.given_up.add(node.member.ticket)
                self.world.invariants.on_given_up(self, node.member.ticket)
        if self.diligent and self.called:
            self.world.after(self.world.latency(), self._heed)

    @property
    def called(self) -> bool:
        """Whether the user is in a round and told to ask again."""
        node = self.node
        return self.answered and not node.finished and not self.quitting and node.nodes_waiting > 0

    def _heed(self) -> None:
        if self.diligent and self.called:
            self.ask()

    @property
    def quitting(self) -> bool:
        return self.node.member.intent != "join"

    @property
    def asking(self) -> bool:
        return not self.crashed and not self.node.finished and self.node.outcome is None

    @property
    def inside(self) -> Joined | None:
        return None if self.crashed or self.node.finished else self.node.joined

    # Faults

    def crash(self) -> None:
        self.world.note(self.name, "crashes")
        self.crashed = True

    def pause(self) -> None:
        self.world.note(self.name, "pauses")
        self.paused = True

    def resume(self) -> None:
        if not self.paused:
            return
        self.world.note(self.name, "resumes")
        self.paused = False
        inbox, self._inbox = self._inbox, []
        errands, self._errands = self._errands, []
        for steps, value, error in inbox:
            self._deliver(steps, value, error)
        for errand in errands:
            errand()

    def sleep(self) -> None:
        """Suspend the machine: its timers stand still, its clock goes on, unless it is a bad one."""
        self.pause()
        self._slept_at = self.world.now

    def wake(self) -> None:
        """Wake up; timers and what they were set for go on from where they were."""
        if self.clock_stands:
            self.offset -= (self.world.now - self._slept_at) * self.rate
        self.world.after(self.world.random.uniform(0.0, self.timing.period), self.resume)

    def cut(self) -> None:
        self.world.note(self.name, "is cut off")
        self.cut_off = True

    def mend(self) -> None:
        self.world.note(self.name, "is connected")
        self.cut_off = False

    def jump(self, seconds: float) -> None:
        """Set its clock forward."""
        self.offset += seconds

    def stop_clock(self) -> None:
        """Have its clock stand still, while all else goes on."""
        self._tick()
        self.clock_stopped_at = self.world.now

    def start_clock(self) -> None:
        """Have its clock go on, from where it stands."""
        if self.clock_stopped_at is not None:
            self.offset -= (self.world.now - self.clock_stopped_at) * self.rate
            self._stops.append((self.clock_stopped_at, self.world.now))
            self.clock_stopped_at = None

    def stood_still(self, since: float) -> float:
        """For how long its clock has not gone on since then."""
        now = self.world.now
        stops = [*self._stops, (self.clock_stopped_at if self.clock_stopped_at is not None else now, now)]
        return sum(max(0.0, end - max(begin, since)) for begin, end in stops)

    # The machine

    def _held_up(self, errand: Callable[[], None]) -> bool:
        if self.paused and not self.crashed:
            self._errands.append(errand)
        return self.paused or self.crashed

    def _tick(self) -> None:
        if self.clock_stopped_at is None:
            self.node.now = self.clock

    @property
    def clock(self) -> float:
        """What its clock shows while it goes."""
        return self.offset + self.world.now * self.rate

    def _resume(self, steps: Asker, value: Any = None, error: Exception | None = None) -> None:
        if isinstance(steps, Nap):
            if steps is not self._nap:
                # Its user wanted something meanwhile.
                if value:
                    self._news = value
                    self._hear_news()
                return
            self._nap, steps = None, steps.steps
        self._tick()
        try:
            operation = steps.throw(error) if error else steps.send(value)
        except (StopIteration, RendezvousConnectionError) as end:
            if steps is self._life:
                # It may be that the record could not be removed: others will find it silent.
                self._life = None
                if not self.node.finished:
                    self._live()
            elif not isinstance(end, StopIteration):
                raise
            self._learn()
            return
        self._learn()
        self.world.invariants.on_operation(self, operation)
        world = self.world
        self.lists = type(operation) is List
        waits: Asker = steps
        if steps is self._life and type(operation) in (Rest, Wait):
            waits = self._nap = Nap(steps, operation)
            if self._hear_news():
                return
        if type(operation) is Rest:
            world.after(operation.seconds / self.rate, self._deliver, waits)
        else:
            listing = self.slow_listing if self.lists else 0.0
            before = listing and listing * world.random.random()
            delay = world.latency() + self.slowness + before
            world.after(delay, self._arrive, operation, waits, listing - before)

    def _hear_news(self) -> bool:
        """Have the node hear what an earlier wait has told, if it waits now; whether it did."""
        if self._news is None or self._nap is None or not self._nap.hears:
            return False
        news, self._news = self._news, None
        self._resume(self._nap, news)
        return True

    def _arrive(self, operation: Any, steps: Asker, takes: float = 0.0) -> None:
        """Hand a request to the backend, or lose it on the way; the answer ``takes`` longer than others."""
        world = self.world
        backend, faults = world.backend, world.faults
        if backend.down or self.cut_off or (self.broken and isinstance(operation, self.broken)):
            self.refuse(steps)
        elif backend.is_too_long(operation):
            world.after(world.latency(), self._fail, steps, RendezvousStateError("too long"))
        elif type(operation) is Wait:
            backend.wait(operation, self, steps)
        elif backend.one_register and type(operation) in (Put, Write, Remove):
            world.after(2 * world.latency(), self._compete, operation, steps, backend.touches, 1)
        elif faults is NO_FAULTS:
            self.answer(steps, backend.apply(operation, self), takes)
        else:
            chance = world.random.random() - faults.request_lost
            if chance < 0:
                self.refuse(steps)
            elif chance < faults.reply_lost:
                backend.apply(operation, self)
                self.refuse(steps)
            elif chance < faults.reply_lost + faults.late:
                world.after(
                    world.random.uniform(0.0, faults.lateness), backend.apply, operation, self, world.now
                )
                self.refuse(steps)
            else:
                if (
                    faults.twice
                    and type(operation) in (Put, Write, Remove)
                    and world.random.random() < faults.twice
                ):
                    world.after(world.random.uniform(0.0, faults.lateness), self._repeat, operation)
                self.answer(steps, backend.apply(operation, self), takes)

    def _repeat(self, operation: Any) -> None:
        """What a network repeats; an older record hides no newer one, be it lost: promises rest on it."""
        backend = self.world.backend
        if type(operation) is not Put or operation.member.beat >= backend.newest[operation.member.node]:
            backend.apply(operation, self)

    def _compete(self, operation: Any, steps: Asker, touches: int, tries: int) -> None:
        """Write the one register as it was read, or read it again after a while."""
        world, backend = self.world, self.world.backend
        if backend.down or tries > 20:
            self.refuse(steps)
        elif touches == backend.touches:
            self.answer(steps, backend.apply(operation, self))
        else:
            pause = world.random.uniform(0.0, 0.002 * 2 ** min(tries, 6)) + 2 * world.latency()
            world.after(pause, self._compete, operation, steps, backend.touches, tries + 1)

    def answer(self, steps: Asker, value: Any, takes: float = 0.0) -> None:
        self.world.after(self.world.latency() + self.slowness + takes, self._hear, steps, value)

    def _hear(self, steps: Asker, value: Any) -> None:
        if self.cut_off or self.deaf:
            self._deliver(steps, None, RendezvousConnectionError("simulated"))
        else:
            self._deliver(steps, value)

    def refuse(self, steps: Asker) -> None:
        error = RendezvousConnectionError("simulated")
        self.world.after(self.world.latency(), self._deliver, steps, None, error)

    def _fail(self, steps: Asker, error: RendezvousError) -> None:
        """Answer a pending ask with what will not pass, as drivers do; a node in a round goes on trying."""
        if self.node.outcome is None and not self.crashed:
            self.node.refuse(error)
        self._deliver(steps, None, RendezvousConnectionError(str(error)))

    def _deliver(self, steps: Asker, value: Any = None, error: Exception | None = None) -> None:
        if self.crashed:
            return
        if self.paused:
            self._inbox.append((steps, value, error))
            return
        self._resume(steps, value, error)
