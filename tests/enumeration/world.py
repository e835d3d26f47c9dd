"""The world in which nodes are stepped: one server, moments that follow each other, and faults.

All that happens at one moment happens in every order. Time passes only when nobody has anything to do but
those who are paused; so whoever is slow is paused, which is a fault.
"""

from collections.abc import Iterator
from typing import Any

from rendezvous_core.protocol.operations import List, Put, Read, Remove, Rest, Wait, Write
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Settings
from rendezvous_core.records.terms import Timing
from tests.enumeration.promises import Promises, unsettled
from tests.enumeration.scenes import (
    AWAITING,
    CRASHED,
    PAUSED,
    UP,
    Bounds,
    Late,
    Machine,
    Numbers,
    Scene,
    fail,
    put,
)
from tests.enumeration.stepping import ASK, FAILED, LEAVE, UNIT, Local, Stepper, Told, frozen


class World:
    """All that can follow from a scene."""

    def __init__(self, bounds: Bounds, timing: Timing) -> None:
        self.bounds, self.timing = bounds, timing
        self.settings = Settings(bounds.min_nodes, bounds.nodes)
        self.stepper = Stepper()
        self.states, self.records, self.replies = Numbers(), Numbers(), Numbers()
        self.names = [f"n{number}" for number in range(bounds.nodes)]
        self.locals: list[Local] = self.stepper.all
        self._nobody = self.stepper.start("nobody", self.settings, timing).number
        self._first: list[int] = []
        self.promises = Promises(self.names, timing)

    def begin(self) -> Scene:
        """All nodes have just been started."""
        machines = [
            Machine(self.stepper.start(name, self.settings, self.timing).number) for name in self.names
        ]
        nobody = (0,) * len(machines)
        self._first = [machine.local for machine in machines]
        return Scene(0, 0, 0, nobody, tuple(machines), (), self.bounds.faults, self.promises.begin())

    def follow(self, scene: Scene) -> Iterator[tuple[str, Scene]]:
        """Everything that can happen next, and what is then. Raises `Violation`."""
        busy = False
        for index, machine in enumerate(scene.machines):
            if machine.condition == UP:
                local = self.locals[machine.local]
                if self._hears(scene, machine, local):
                    # Being woken changes nothing for the others: it may as well come first.
                    if self._may_fail(scene, "wake-up lost"):
                        deaf = machine._replace(deaf=scene.state, rung=False)
                        yield f"{self.names[index]} misses a wake-up", put(fail(scene), index, deaf)
                    woken = self._tell(scene, index, self._reply(("woken",), True))
                    yield f"{self.names[index]} wakes up", woken
                    return
        for index, machine in enumerate(scene.machines):
            name = self.names[index]
            if machine.condition == CRASHED:
                continue
            local = self.locals[machine.local]
            if machine.condition == UP:
                if local.called:
                    busy = True
                    yield f"{name} asks again", self._tell(scene, index, ASK)
                if local.operation is None:
                    continue
                if type(local.operation) in (Wait, Rest):
                    if machine.age >= local.patience:
                        busy = True
                        answer = self._reply(("time",), False if type(local.operation) is Wait else None)
                        yield f"{name} has waited", self._tell(scene, index, answer)
                elif self._in_turn(scene, index):
                    busy = True
                    yield from self._operate(scene, index, local)
            if scene.faults and scene.moment <= self.bounds.until:
                yield from self._befall(scene, index, machine, local)
        for late in scene.late:
            rest = tuple(each for each in scene.late if each is not late)
            after, _ = self._apply(scene, late.machine, self.locals[late.local])
            name = type(self.locals[late.local].operation).__name__
            yield f"a late {name} of {self.names[late.machine]} arrives", after._replace(late=rest)
        if scene.faults and scene.moment <= self.bounds.until:
            yield from self._lose(scene)
        if not busy:
            later = self.pass_time(scene)
            yield "time passes", later
            for index, machine in enumerate(later.machines):
                if machine.condition in (PAUSED, AWAITING):
                    # What it does then may come after all that others do at that moment.
                    yield f"time passes, {self.names[index]} goes on", self._resume(later, index)

    def pass_time(self, scene: Scene) -> Scene:
        """The next moment at which somebody has something to do."""
        span = 4
        for machine in scene.machines:
            local = self.locals[machine.local]
            if machine.condition == UP and local.operation is not None:
                span = min(span, local.patience - machine.age)
        aged = tuple(
            machine if machine.condition == CRASHED else machine._replace(age=machine.age + span)
            for machine in scene.machines
        )
        truth = self.promises.pass_time(scene.truth, span)
        return scene._replace(moment=scene.moment + span, machines=aged, truth=truth)

    def _resume(self, scene: Scene, index: int) -> Scene:
        machine = scene.machines[index]
        if machine.condition == AWAITING:
            return self._tell(scene, index, self.replies.values[machine.reply])
        return put(scene, index, machine._replace(condition=UP))

    def heal(self, scene: Scene) -> Scene:
        """No more faults; whoever was paused goes on, and what was late never comes."""
        for index, machine in enumerate(scene.machines):
            if machine.condition in (PAUSED, AWAITING):
                scene = self._resume(scene, index)
        return scene._replace(late=(), faults=0)

    def unsettled(self, scene: Scene) -> str | None:
        """What is still missing until every live node is where it belongs."""
        live = {
            name: self.locals[machine.local]
            for name, machine in zip(self.names, scene.machines, strict=True)
            if machine.condition != CRASHED and not self.locals[machine.local].finished
        }
        return unsettled(self.states.values[scene.state], live)

    def _in_turn(self, scene: Scene, index: int) -> bool:
        """Whoever comes first is called n0, and so on: names make no difference but for ranks."""
        return not index or scene.machines[index - 1].local != self._first[index - 1]

    def _hears(self, scene: Scene, machine: Machine, local: Local) -> bool:
        wait = local.operation
        if type(wait) is not Wait:
            return False
        changed = wait.token != scene.state != machine.deaf
        return changed or (wait.members is not None and machine.rung)

    # Operations

    def _operate(self, scene: Scene, index: int, local: Local) -> Iterator[tuple[str, Scene]]:
        name, kind = self.names[index], type(local.operation).__name__
        after, told = self._apply(scene, index, local)
        yield f"{name} does {kind}", self._tell(after, index, told)
        if not scene.faults or scene.moment > self.bounds.until:
            return
        kinds = self.bounds.kinds
        if "request lost" in kinds:
            yield f"{name}'s {kind} is lost", self._tell(fail(scene), index, FAILED)
        if "reply lost" in kinds and kind not in ("Read", "List"):
            yield f"the answer to {name}'s {kind} is lost", self._tell(fail(after), index, FAILED)
        if "request late" in kinds and kind not in ("Read", "List"):
            late = (*scene.late, Late(index, local.number))
            yield f"{name}'s {kind} is late", self._tell(fail(scene)._replace(late=late), index, FAILED)
        if "reply late" in kinds:
            number = self.replies.of(told, told.name)
            waits = after.machines[index]._replace(condition=AWAITING, reply=number)
            yield f"the answer to {name}'s {kind} is late", put(fail(after), index, waits)

    def _apply(self, scene: Scene, index: int, local: Local) -> tuple[Scene, Told]:
        operation = local.operation
        match operation:
            case Read():
                if not scene.state:
                    return scene, self._reply(("nothing",), None)
                state = self.states.values[scene.state]
                return scene, self._reply(("read", scene.state), (state, scene.state))
            case Write(state, token):
                written = (token or 0) == scene.state
                if written:
                    old = self.states.values[scene.state]
                    truth = self.promises.on_write(scene.truth, index, old, state)
                    scene = scene._replace(
                        state=self.states.of(state, frozen(state)),
                        former=scene.state,
                        truth=truth,
                    )
                if not scene.state:
                    return scene, self._reply(("nothing",), None)
                name = ("write", scene.state, written)
                return scene, self._reply(name, (self.states.values[scene.state], scene.state, written))
            case Put(member, announce):
                record = self.records.of(member, frozen(member))
                members = (*scene.members[:index], record, *scene.members[index + 1 :])
                truth = self.promises.on_put(scene.truth, index)
                machines = scene.machines
                if announce:
                    machines = tuple(
                        each._replace(rung=True) if self.locals[each.local].listed else each
                        for each in machines
                    )
                scene = scene._replace(members=members, machines=machines, truth=truth)
                return scene, self._reply(("done",), None)
            case Remove(node):
                at = self.names.index(node)
                members = (*scene.members[:at], 0, *scene.members[at + 1 :])
                return scene._replace(members=members), self._reply(("done",), None)
            case List():
                listed: dict[str, Member] = {
                    self.names[at]: self.records.values[record]
                    for at, record in enumerate(scene.members)
                    if record
                }
                truth = self.promises.on_list(scene.truth, index)
                scene = put(scene._replace(truth=truth), index, scene.machines[index]._replace(rung=False))
                return scene, self._reply(("listed", scene.members), (listed, True))
        raise AssertionError(operation)

    def _reply(self, name: tuple[Any, ...], value: Any) -> Told:
        number = self.replies.of(None, name)
        told: Told | None = self.replies.values[number]
        if told is None:
            told = self.replies.values[number] = Told(name[0], value, name)
        return told

    def _tell(self, scene: Scene, index: int, told: Told) -> Scene:
        machine = scene.machines[index]
        former = self.locals[machine.local]
        local = self.stepper.step(former, machine.age * UNIT, told)
        if local.member.ticket != former.member.ticket:
            scene = scene._replace(truth=self.promises.on_ask(scene.truth, index, local.member.ticket))
        if local.outcome is not None and local.outcome != former.outcome:
            scene = scene._replace(truth=self.promises.on_answer(scene.truth, index, local))
        return put(scene, index, Machine(local.number, rung=machine.rung and local.listed))

    # Faults

    def _may_fail(self, scene: Scene, kind: str) -> bool:
        return scene.faults > 0 and scene.moment <= self.bounds.until and kind in self.bounds.kinds

    def _befall(
        self, scene: Scene, index: int, machine: Machine, local: Local
    ) -> Iterator[tuple[str, Scene]]:
        name, kinds = self.names[index], self.bounds.kinds
        if "crash" in kinds:
            crashed = Machine(self._nobody, condition=CRASHED)  # what it knew is of no more use
            yield f"{name} crashes", put(fail(scene), index, crashed)
        if "pause" in kinds and machine.condition == UP:
            paused = machine._replace(condition=PAUSED)
            yield f"{name} pauses", put(fail(scene), index, paused)
        stays = machine.condition == UP and not local.finished and local.member.intent == "join"
        if "leave" in kinds and stays:
            truth = self.promises.on_leave(scene.truth, index, local.member.ticket)
            yield f"{name} wants to leave", self._tell(fail(scene)._replace(truth=truth), index, LEAVE)

    def _lose(self, scene: Scene) -> Iterator[tuple[str, Scene]]:
        kinds, nobody = self.bounds.kinds, (0,) * len(scene.members)
        lossy = fail(scene)._replace(truth=self.promises.on_loss(scene.truth))
        if "state lost" in kinds and scene.state:
            yield "the state is lost", lossy._replace(state=0)
        if "all lost" in kinds and scene.state:
            yield "everything is lost", lossy._replace(state=0, members=nobody)
        if "members lost" in kinds and any(scene.members):
            truth = self.promises.on_members_lost(scene.truth)
            yield "the members are lost", fail(scene)._replace(members=nobody, truth=truth)
        if "write lost" in kinds and scene.state:
            yield "the last write is lost", lossy._replace(state=scene.former)
