"""One moment of the world: what there is to know of it, in numbers."""

from typing import Any, NamedTuple

from tests.enumeration.promises import Truth

UP, PAUSED, AWAITING, CRASHED = range(4)


class Machine(NamedTuple):
    """One node in the world."""

    local: int
    age: int = 0
    """How many moments ago it was told something."""
    condition: int = UP
    reply: int = 0
    """The number of the answer that is still under way to it."""
    rung: bool = False
    """Whether somebody announced a record since it listed them in this cycle."""
    deaf: int = -1
    """The state that stood when its wake-up was lost: it hears of later changes."""


class Late(NamedTuple):
    """A request that its sender has given up on, and that is still to arrive."""

    machine: int
    local: int


class Scene(NamedTuple):
    """Everything at one moment; equal scenes go on equally."""

    moment: int
    state: int
    """Its number is its token, too: the same bytes have the same token, which is the worst of backends."""
    former: int
    """The state before the latest write: what a replica holds that lags by one."""
    members: tuple[int, ...]
    machines: tuple[Machine, ...]
    late: tuple[Late, ...]
    faults: int
    """How many may still happen."""
    truth: Truth


class Bounds(NamedTuple):
    """What is enumerated."""

    nodes: int
    faults: int
    kinds: frozenset[str]
    until: int
    """The last moment at which something goes wrong."""
    end: int
    """The last moment of which every order is tried; then all goes on in one order."""
    min_nodes: int = 1
    last_call: float = 0.5
    look: int = 4
    """How many moments a coordinator's looks are apart."""


DEATHS = frozenset(("crash", "leave", "pause"))
MESSAGES = frozenset(("request lost", "reply lost", "request late", "reply late", "wake-up lost"))
LOSSES = frozenset(("state lost", "members lost", "all lost", "write lost"))
KINDS = DEATHS | MESSAGES | LOSSES


class Numbers:
    """Values by number, equal ones by the same."""

    def __init__(self) -> None:
        self.values: list[Any] = [None]
        self._known: dict[Any, int] = {}

    def of(self, value: Any, name: Any) -> int:
        number = self._known.get(name)
        if number is None:
            number = self._known[name] = len(self.values)
            self.values.append(value)
        return number


def fail(scene: Scene) -> Scene:
    """One fault less may happen."""
    return scene._replace(faults=scene.faults - 1)


def put(scene: Scene, index: int, machine: Machine) -> Scene:
    """Put a machine in the place of another."""
    machines = scene.machines
    return scene._replace(machines=(*machines[:index], machine, *machines[index + 1 :]))
