"""How stories are told: the stage, and what narrators ask of it."""

from collections.abc import Callable
from typing import Any

from rendezvous_core.protocol.node import Node
from rendezvous_core.records.state import State
from tests.simulation.faults import Faults
from tests.simulation.invariants import Violation
from tests.simulation.machine import Machine
from tests.simulation.world import World

Story = Callable[[World], None]
SCENARIOS: dict[str, Story] = {}
"""All stories, in the order of their telling."""


def scenario(story: Story) -> Story:
    """Enter a story."""
    assert story.__name__ not in SCENARIOS, "a story of this name is told already"
    SCENARIOS[story.__name__] = story
    return story


def tell(name: str, seed: int, node_type: type[Node] = Node) -> None:
    """Play one story with one seed. Raises `Violation`, with the log."""
    world = World(seed, node_type=node_type)
    world.faults = Faults(latency=world.random.choice((0.0005, 0.002, 0.01)))
    try:
        SCENARIOS[name](world)
    except Exception as error:
        log = "\n".join(world.log)
        raise Violation(f"Scenario {name}, seed {seed}: {type(error).__name__}: {error}\n{log}") from error


def expect(condition: bool, text: str) -> None:
    if not condition:
        raise Violation(text)


def wait_until(world: World, condition: Callable[[], bool], seconds: float, text: str) -> None:
    expect(world.run(seconds, condition), f"not within {seconds:.2f} s: {text}")


def gather(world: World, count: int, **options: Any) -> list[Machine]:
    """Have ``count`` nodes complete a round, by default one that is full."""
    machines = world.start(count, **({"min_nodes": count, "max_nodes": count} | options))
    wait_until(world, lambda: all(machine.inside for machine in machines), 30.0, "the first round")
    return machines


def state_of(world: World) -> State:
    state = world.backend.state
    assert state is not None
    return state


def coordinator(world: World) -> Machine:
    name = state_of(world).coordinator
    assert name is not None
    return world.machines[name]


def others(machines: list[Machine], *without: Machine) -> list[Machine]:
    return [machine for machine in machines if machine not in without]


def pick(world: World, machines: list[Machine]) -> Machine:
    return world.random.choice(machines)


def lag(world: World, seconds: float = 1.0) -> None:
    """Let some time pass, at most so much."""
    world.run(world.random.uniform(0.0, seconds))


def wait_for_heartbeat(world: World) -> None:
    """Let time pass until the coordinator has just renewed the state: the last time for a second."""
    serial = state_of(world).serial
    wait_until(world, lambda: state_of(world).serial > serial, 1.5, "a heartbeat")


def expect_undisturbed(machines: list[Machine], rounds: int = 1) -> None:
    for machine in machines:
        expect(len(machine.returned) == rounds, f"{machine.name} returned {len(machine.returned)} times")
        expect(machine.inside is not None and not machine.called, f"{machine.name} was disturbed")
