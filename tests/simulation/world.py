"""A simulated world: virtual time, a backend that fails, nodes that crash and pause. One seed, one schedule."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


from rendezvous_core import RendezvousConnectionError
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.protocol.operations import List, Put, Read, Remove, Rest, Steps, Timing, Wait, Write
from rendezvous_core.protocol.records import Member, Settings, State

RUN = "run"


@dataclass
class Faults:
    """How often things go wrong; probabilities per operation."""

    request_lost: float = 0.0
    reply_lost: float = 0.0
    late: float = 0.0
    """The client gives up, and the operation is applied some time later all the same."""
    wake_up_lost: float = 0.0
    latency: float = 0.002


class World:
    """Virtual time and everything that happens in it."""

    def __init__(self, seed: int, faults: Faults | None = None, **node_options: Any) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.now = 0.0
        self.faults = faults or Faults()
        self.backend = Backend(self)
        self.nodes: list[Machine] = []
        self.log: list[str] = []
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._node_options = node_options

    def after(self, delay: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (self.now + delay, self._count, action))

    def latency(self) -> float:
        return self.random.expovariate(1.0) * self.faults.latency

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass; stop early, with ``True``, when ``until`` holds."""
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            if until is not None and until():
                return True
            self.now, _, action = heapq.heappop(self._agenda)
            action()
        if until is not None and until():
            return True
        self.now = end
        return False

    def note(self, text: str) -> None:
        self.log.append(f"{self.now:10.3f} {text}")

    def start(self, count: int = 1, **options: Any) -> list["Machine"]:
        """Start nodes that ask at once."""
        started = [
            Machine(self, f"n{len(self.nodes) + i}", **(self._node_options | options)) for i in range(count)
        ]
        self.nodes += started
        for machine in started:
            machine.ask()
        return started

    def new_id(self) -> str:
        return f"{self.random.getrandbits(48):012x}"

    @property
    def live(self) -> list["Machine"]:
        return [machine for machine in self.nodes if not machine.crashed]


class Backend:
    """The server: a register, members, notification, and the means to break it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.state: State | None = None
        self.version = 0
        self.members: dict[str, Member] = {}
        self.bell = 0
        self.down = False
        self.touched: dict[str, float] = {}
        self.history: list[tuple[float, State]] = []
        self.lossless = True
        self.writes = 0
        self.operations = 0
        self.stale_members: dict[str, Member] | None = None
        """Set to serve listings from a cache."""
        self._waiters: list[tuple[Wait, Callable[[bool], None]]] = []

    def apply(self, operation: Any, reply: Callable[[Any], None]) -> None:
        self.operations += 1
        match operation:
            case Read():
                reply((self.state, self.version) if self.state else None)
            case Write(state, token):
                written = token == (self.version if self.state else None)
                if written:
                    self.put_state(state)
                reply((self.state, self.version, written) if self.state else None)
            case Put(member, announce):
                self.members[member.node] = member
                self.touched[member.node] = self.world.now
                if announce:
                    self.bell += 1
                    self._wake()
                reply(None)
            case Remove(node):
                self.members.pop(node, None)
                reply(None)
            case List():
                members = self.members if self.stale_members is None else self.stale_members
                reply((dict(members), self.bell))

    def put_state(self, state: State | None) -> None:
        self.state = state
        self.version += 1
        self.writes += 1
        if state is not None:
            self.history.append((self.world.now, state))
            self.world.note(
                f"state {state.phase} r{state.round} {state.coordinator} term {state.term[:4]} serial {state.serial} "
                f"roster {[s.node for s in state.roster]} gone {state.gone} waiting {state.waiting}"
            )
        self._wake()

    def wait(self, wait: Wait, wake: Callable[[bool], None]) -> None:
        if self._changed(wait):
            wake(True)
            return
        entry = (wait, wake)
        self._waiters.append(entry)

        def time_out() -> None:
            if entry in self._waiters:
                self._waiters.remove(entry)
                wake(False)

        self.world.after(wait.timeout, time_out)

    def _changed(self, wait: Wait) -> bool:
        version = self.version if self.state else None
        return wait.token != version or (wait.members is not None and wait.members != self.bell)

    def _wake(self) -> None:
        world = self.world
        for entry in [entry for entry in self._waiters if self._changed(entry[0])]:
            if world.random.random() >= world.faults.wake_up_lost:
                self._waiters.remove(entry)
                entry[1](True)

    # Failover

    def snapshot(self) -> tuple[State | None, dict[str, Member], int]:
        return self.state, dict(self.members), self.version

    def roll_back(self, snapshot: tuple[State | None, dict[str, Member], int], reissue: bool = False) -> None:
        """Fail over to a replica that lags; with ``reissue`` it counts its tokens from there."""
        self.lossless = False
        self.world.note("rolled back")
        state, self.members, version = snapshot[0], dict(snapshot[1]), snapshot[2]
        self.put_state(state)
        if reissue:
            self.version = version

    def lose(self, members: bool = True) -> None:
        self.roll_back((None, {} if members else dict(self.members), 0))


class Machine:
    """One process: a `Node`, its background thread, and a user who works and asks again."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        min_nodes: int = 2,
        max_nodes: int = 4,
        interval: float = 1.0,
        attempts: int = 3,
        last_call: float = 2.0,
        node_type: type[Node] = Node,
    ) -> None:
        self.world, self.name = world, name
        self.offset, self.rate = world.random.uniform(0, 1e6), world.random.uniform(0.999, 1.001)
        self.timing = Timing(interval, attempts, last_call)
        self.settings = Settings(min_nodes, max_nodes)
        member = Member(node=name, address="same", pid=1, dead_after=self.timing.dead_after)
        self.node = node_type(member, RUN, self.settings, self.timing, world.new_id)
        self.crashed = self.paused = self.cut_off = False
        self.returned: list[Joined] = []
        self.given_up: list[int] = []
        self.diligent = True
        """Whether its user asks again as soon as a new round is called for."""
        self.broken: type | None = None
        """A kind of operation that always fails here."""
        self.on_joined: Callable[[], None] = lambda: None
        self._inbox: list[Callable[[], None]] = []
        self._lives = 0
        self._putting = False
        self._puts: list[tuple[Put, Callable[[Any], None], Callable[[Exception], None]]] = []
        self._answered = False
        self._ticket_given_up: int | None = None

    # The user

    def ask(self) -> None:
        if self.crashed:
            return
        self.world.note(f"{self.name} asks")
        self._tick()
        resting = self.node.finished
        self._answered = False
        self.node.ask()
        if self.node.finished or resting:
            self._start_life()
        else:
            self._announce()
        self._notice()

    def quit(self, intent: Any) -> None:
        if self.crashed or self.node.finished:
            return
        self.world.note(f"{self.name} {intent}s")
        self._tick()
        if not self._answered:
            self._ticket_given_up = self.node.member.ticket
        self.node.quit(intent)
        self._announce()

    def close(self) -> None:
        self.world.note(f"{self.name} closes")

        def attempt() -> None:
            self._drive(self.node.close(), on_error=lambda: self.world.after(0.05, attempt))

        attempt()

    def crash(self) -> None:
        self.world.note(f"{self.name} crashes")
        self.crashed = True

    def pause(self) -> None:
        self.world.note(f"{self.name} pauses")
        self.paused = True

    def resume(self) -> None:
        self.world.note(f"{self.name} resumes")
        self.paused = False
        inbox, self._inbox = self._inbox, []
        for action in inbox:
            self._deliver(action)

    @property
    def asking(self) -> bool:
        return not self.crashed and not self.node.finished and self.node.outcome is None

    @property
    def inside(self) -> Joined | None:
        return None if self.crashed or self.node.finished else self.node.joined

    # The machine

    def _tick(self) -> None:
        self.node.now = self.offset + self.world.now * self.rate

    def _announce(self) -> None:
        put = self.node.put()

        def failed(_: Exception) -> None:
            self.node.put_failed(put)

        self._send(put, lambda _: None, failed)

    def _start_life(self) -> None:
        self._lives += 1
        self._drive(self.node.live(), life=self._lives)

    def _drive(
        self, steps: Steps, on_error: Callable[[], None] | None = None, life: int | None = None
    ) -> None:
        def step(value: Any = None, error: Exception | None = None) -> None:
            if life is not None and life != self._lives:
                return
            self._tick()
            try:
                operation = steps.throw(error) if error else steps.send(value)
            except StopIteration:
                self._notice()
                return
            except RendezvousConnectionError:
                if on_error:
                    on_error()
                return
            self._notice()
            self._send(operation, step, lambda error: step(error=error))

        step()

    def _deliver(self, action: Callable[[], None]) -> None:
        if self.crashed:
            return
        if self.paused:
            self._inbox.append(action)
        else:
            action()

    def _send(self, operation: Any, reply: Callable[[Any], None], fail: Callable[[Exception], None]) -> None:
        if isinstance(operation, Put):
            if self._putting:
                self._puts.append((operation, reply, fail))
                return
            self._putting = True
            reply, fail = self._then_next_put(reply), self._then_next_put(fail)
        self._transmit(operation, reply, fail)

    def _then_next_put(self, action: Callable[[Any], None]) -> Callable[[Any], None]:
        def both(value: Any) -> None:
            self._putting = False
            if self._puts:
                self._send(*self._puts.pop(0))
            action(value)

        return both

    def _transmit(
        self, operation: Any, reply: Callable[[Any], None], fail: Callable[[Exception], None]
    ) -> None:
        world, faults = self.world, self.world.faults
        if isinstance(operation, Rest):
            world.after(operation.seconds / self.rate, lambda: self._deliver(lambda: reply(None)))
            return

        def answer(value: Any) -> None:
            world.after(world.latency(), lambda: self._deliver(lambda: reply(value)))

        def refuse(delay: float = 0.0) -> None:
            error = RendezvousConnectionError("simulated")
            world.after(delay + world.latency(), lambda: self._deliver(lambda: fail(error)))

        def arrive() -> None:
            backend = world.backend
            chance = world.random.random()
            if backend.down or self.cut_off or (self.broken and isinstance(operation, self.broken)):
                refuse()
            elif isinstance(operation, Wait):
                backend.wait(replace_timeout(operation, self.rate), answer)
            elif chance < faults.request_lost:
                refuse()
            elif chance < faults.request_lost + faults.reply_lost:
                backend.apply(operation, lambda _: refuse())
            elif chance < faults.request_lost + faults.reply_lost + faults.late:
                world.after(world.random.uniform(0.0, 8.0), lambda: backend.apply(operation, lambda _: None))
                refuse(0.5)
            else:
                backend.apply(operation, answer)

        world.after(world.latency(), arrive)

    def _notice(self) -> None:
        """React as a user does to what the node has learnt."""
        node = self.node
        if node.finished and self._ticket_given_up is not None:
            self.given_up.append(self._ticket_given_up)
            self._ticket_given_up = None
        if node.outcome is not None and not self._answered:
            self._answered = True
            self._ticket_given_up = None
            self.world.note(f"{self.name} gets {node.outcome!r}")
            if isinstance(node.outcome, Joined):
                self.returned.append(node.outcome)
                self.on_joined()
        elif (
            self._answered and self.diligent and node.joined and not node.finished and node.nodes_waiting > 0
        ):
            self._answered = False
            self.world.after(self.world.latency(), lambda: self._deliver(self._ask_again))

    def _ask_again(self) -> None:
        if not self.node.finished and self.node.member.intent == "join":
            self.ask()


def replace_timeout(wait: Wait, rate: float) -> Wait:
    return wait._replace(timeout=wait.timeout / rate)
