"""Random schedules: whatever can happen to a run, drawn from one seed."""

import random
from collections.abc import Callable
from typing import Any

from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.operations import List
from rendezvous_core.records.state import Settings
from tests.simulation.faults import Faults
from tests.simulation.invariants import Violation, check_progress
from tests.simulation.machine import Machine
from tests.simulation.world import World

STAGE = 8.0
"""For about so many periods things go wrong, before everything is healed."""


class Schedule:
    """One run: machines start, act and fail at random moments; then all faults end."""

    def __init__(self, seed: int, node_type: type[Node] = Node) -> None:
        self.random = draw = random.Random(f"schedule {seed}")
        self.count = draw.choice((2, 3, 3, 4, 4, 5, 6, 7, 8))
        if draw.random() < 0.004:
            self.count = draw.randint(12, 40)
        least = draw.randint(1, self.count)
        most = draw.randint(least, self.count + 1)
        multiples = [each for each in (1, 1, 1, 2, 3) if Settings(least, most, each).size(most)]
        self.options: dict[str, Any] = {
            "min_nodes": least,
            "max_nodes": most,
            "interval": 1.0,
            "attempts": draw.choice((1, 2, 3, 3, 3, 4, 5)),
            "last_call": draw.uniform(0.1, 3.0),
            "node_type": node_type,
            "agreed": {
                "nodes_multiple_of": draw.choice(multiples),
                "last_call": draw.choice(("expected", "expected", "wait")),
                "admit_newcomers": draw.choice(("at_once", "at_once", "next_round", draw.uniform(0.5, 4.0))),
            },
        }
        self.period = min(1.0, self.options["attempts"] / 3)
        self.mixed = draw.random() < 0.15
        self.world = World(seed, self._draw_faults(), **self.options)
        self.snapshots: list[Any] = []
        self.over = False

    def _draw_faults(self) -> Faults:
        draw = self.random
        often = [draw.uniform(0.0, 0.15) if draw.random() < 0.4 else 0.0 for _ in range(3)]
        return Faults(
            request_lost=often[0],
            reply_lost=often[1],
            late=often[2],
            twice=draw.uniform(0.0, 0.15) if draw.random() < 0.3 else 0.0,
            lateness=draw.uniform(0.1, 6.0),
            wake_up_lost=draw.choice((0.0, 0.0, 0.0, 0.1, 0.5, 1.0)),
            latency=draw.choice((0.001, 0.002, 0.01, 0.05, 0.3)) * self.period,
        )

    def run(self) -> None:
        """Play the schedule. Raises `Violation`."""
        draw, world = self.random, self.world
        world.note("schedule", world.seed, self.options, world.faults)
        for _ in range(self.count):
            world.after(draw.choice((0.0, draw.uniform(0.0, STAGE * self.period / 2))), self.start)
        actions = _ACTIONS + (_LOSSES if draw.random() < 0.15 else [])
        names = [action for action, _ in actions]
        weights = [weight for _, weight in actions]
        for _ in range(draw.randint(1, 3 + self.count)):
            (action,) = draw.choices(names, weights)
            world.after(draw.uniform(0.0, STAGE * self.period), action, self)
        world.run(STAGE * self.period)
        self.over = True
        world.heal()
        check_progress(world)

    # What happens

    def start(self) -> None:
        draw = self.random
        options: dict[str, Any] = {}
        if self.mixed:
            options = {"interval": draw.uniform(0.4, 2.5), "attempts": draw.randint(1, 5)}
        self.world.start(**options)

    def stranger(self) -> None:
        """A node of other settings."""
        least = self.random.randint(1, 3)
        self.world.start(min_nodes=least, max_nodes=least + self.random.randint(0, 6), agreed={})

    def somebody(self) -> Machine | None:
        return self.random.choice(self.world.live) if self.world.live else None

    def crash(self) -> None:
        if machine := self.somebody():
            machine.crash()

    def crash_coordinator(self) -> None:
        state = self.world.backend.state
        if state is not None and state.coordinator is not None:
            self.world.machines[state.coordinator].crash()

    def restart(self) -> None:
        self.crash()
        self.start()

    def pause(self) -> None:
        if machine := self.somebody():
            machine.pause()
            self.later(machine.resume)

    def cut(self) -> None:
        if machine := self.somebody():
            machine.cut()
            self.later(machine.mend)

    def deafen(self) -> None:
        """A partition of one direction: what a node sends arrives, what is sent to it does not."""
        if machine := self.somebody():
            machine.deaf = True
            self.later(lambda: setattr(machine, "deaf", False))

    def stop_clock(self) -> None:
        if machine := self.somebody():
            machine.stop_clock()
            self.later(machine.start_clock)

    def list_in_part(self) -> None:
        """Listings leave out some of the records, now these and now those."""
        self.world.backend.partial = self.random.uniform(0.0, 0.5)
        self.later(lambda: setattr(self.world.backend, "partial", 0.0))

    def slow_pass(self) -> None:
        """A node that beats but cannot decide."""
        if machine := self.somebody():
            machine.broken = List

    def sleep(self) -> None:
        if machine := self.somebody():
            machine.sleep()
            self.later(machine.wake)

    def slow_listings(self) -> None:
        """The backend takes its time to list."""
        slowness = self.random.uniform(0.0, self.period)
        for machine in self.world.live:
            machine.slow_listing = slowness

    def outage(self) -> None:
        self.world.backend.go_down()
        self.later(self.world.backend.come_up)

    def give_up(self) -> None:
        machine = self.somebody()
        if machine and machine.asking:
            machine.quit("cancel")
            if self.random.random() < 0.4:
                self.later(machine.ask)

    def give_up_all(self) -> None:
        for machine in self.world.live:
            if machine.asking:
                machine.quit("cancel")

    def leave(self) -> None:
        if machine := self.somebody():
            machine.quit("leave")
            if self.random.random() < 0.5:
                self.later(machine.ask)

    def finish(self) -> None:
        machine = self.somebody()
        if machine and machine.inside:
            machine.quit("done")

    def ask_again(self) -> None:
        if machine := self.somebody():
            machine.ask()

    def close(self) -> None:
        if machine := self.somebody():
            machine.close()

    def lose_members(self) -> None:
        self.world.backend.lose_members()

    def snapshot(self) -> None:
        self.snapshots.append(self.world.backend.snapshot())

    def roll_back(self) -> None:
        if not self.snapshots:
            self.snapshot()
            self.later(self.roll_back)
            return
        self.world.backend.roll_back(self.random.choice(self.snapshots), self.random.random() < 0.5)

    def lose_ledger(self) -> None:
        self.world.backend.lose_ledger()

    def lose_state(self) -> None:
        self.world.backend.lose_state(members=self.random.random() < 0.5)

    def later(self, action: Callable[[], None]) -> None:
        """Have ``action`` follow, unless the faults are over by then."""

        def act() -> None:
            if not self.over:
                action()

        self.world.after(self.random.uniform(0.0, STAGE * self.period), act)


_ACTIONS: list[tuple[Callable[[Schedule], None], float]] = [
    (Schedule.start, 3),
    (Schedule.stranger, 0.3),
    (Schedule.crash, 3),
    (Schedule.crash_coordinator, 2),
    (Schedule.restart, 2),
    (Schedule.pause, 5),
    (Schedule.sleep, 1.5),
    (Schedule.slow_listings, 0.5),
    (Schedule.cut, 4),
    (Schedule.deafen, 2),
    (Schedule.stop_clock, 0.7),
    (Schedule.list_in_part, 0.7),
    (Schedule.slow_pass, 0.7),
    (Schedule.outage, 1.5),
    (Schedule.give_up, 4),
    (Schedule.give_up_all, 0.3),
    (Schedule.leave, 3),
    (Schedule.finish, 2),
    (Schedule.ask_again, 3),
    (Schedule.close, 0.3),
    (Schedule.lose_members, 0.5),
]

_LOSSES: list[tuple[Callable[[Schedule], None], float]] = [
    (Schedule.snapshot, 3),
    (Schedule.roll_back, 4),
    (Schedule.lose_state, 2),
    (Schedule.lose_ledger, 2),
]


def fails(seed: int) -> str | None:
    """Play one schedule; return what is wrong with it, if anything."""
    try:
        play(seed)
    except Violation as violation:
        return str(violation)
    return None


def play(seed: int, node_type: type[Node] = Node) -> list[str]:
    """Run one schedule and return its log. Raises `Violation`, with the log and how to replay it."""
    schedule = Schedule(seed, node_type)
    try:
        schedule.run()
    except Exception as error:
        log = "\n".join(schedule.world.log)
        raise Violation(
            f"Schedule {seed}: {error}\nReplay: pytest tests/simulation --schedules 1 --seed {seed}\n{log}"
        ) from error
    return schedule.world.log
