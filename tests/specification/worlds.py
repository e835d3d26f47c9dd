"""Small simulated worlds of which the specifications can tell all that happens."""

import random
from typing import Any

from tests.simulation.faults import Faults
from tests.simulation.machine import Machine
from tests.simulation.world import World
from tests.specification import ledgers, tracing

LEAST, MOST, COUNT = 2, 3, 3
APART = {"min_nodes": 3, "max_nodes": 4, "page": 2}
"""Of four nodes, so that whoever is in a round has a ledger of two pages."""


def play(seed: int) -> tracing.Trace:
    """Three nodes meet, and some of what can happen to them does."""
    draw = random.Random(f"trace {seed}")
    world = World(seed, Faults(reply_lost=draw.choice((0.0, 0.1)), latency=draw.choice((0.002, 0.02))))
    names = _gather(draw, world, COUNT, min_nodes=LEAST, max_nodes=MOST)
    for _ in range(draw.randint(1, 3)):
        world.run(draw.uniform(0.5, 4.0))
        machine = draw.choice(world.live) if world.live else None
        _act(draw, world, machine, draw.choice(("crash", "pause", "leave", "done", "ask")))
    world.run(8.0)
    return tracing.of_simulation(world.notes, names)


def play_ledger(seed: int) -> ledgers.LedgerTrace:
    """Four nodes have a ledger in pages, and some of what can happen to them, and to it, does."""
    draw = random.Random(f"trace of ledgers {seed}")
    lost, unheard, latency = draw.choice((0.0, 0.1)), draw.choice((0.0, 0.1)), draw.choice((0.002, 0.02))
    world = World(seed, Faults(request_lost=lost, reply_lost=unheard, latency=latency))
    ledgers.watch(world)
    names = _gather(draw, world, 4, **APART)
    for _ in range(draw.randint(1, 3)):
        world.run(draw.uniform(0.5, 4.0))
        state = world.backend.state
        # More often than others, whoever coordinates.
        leader = [world.machines[state.coordinator]] if state and state.coordinator else []
        match draw.choice(("crash", "pause", "leave", "ask", "lose pages", "lose all")):
            case "lose pages":
                world.backend.lose_ledger(draw.choice(((), (0,), (1,))))
            case "lose all":
                # That one brings back an older state than another has seen is not in the specification.
                world.run(2.0, lambda: _all_have_seen(world))
                world.backend.lose_state(members=draw.random() < 0.5)
            case act:
                _act(draw, world, draw.choice([*world.live, *leader]) if world.live else None, act)
    world.run(8.0)
    return ledgers.of_simulation(world.notes, names)


def _all_have_seen(world: World) -> bool:
    state = world.backend.state
    return all(each.node.state and state and each.node.state.head == state.head for each in world.live)


def _gather(draw: random.Random, world: World, count: int, **options: Any) -> list[str]:
    names = []
    for _ in range(count):
        names += [each.name for each in world.start(**options)]
        world.run(draw.uniform(0.0, 1.0))
    return names


def _act(draw: random.Random, world: World, machine: Machine | None, what: str) -> None:
    match what:
        case _ if machine is None or machine.crashed or machine.paused:
            pass
        case "crash":
            machine.crash()
        case "pause":
            machine.pause()
            world.run(draw.uniform(0.5, 6.0))
            machine.resume()
        case "ask":
            machine.ask()
        case "leave":
            machine.quit("leave")
        case "done" if machine.inside:
            machine.quit("done")
