"""Small simulated worlds of which the specification can tell all that happens."""

import random

from tests.simulation.faults import Faults
from tests.simulation.world import World
from tests.specification.tracing import Trace, of_simulation

LEAST, MOST, COUNT = 2, 3, 3


def play(seed: int) -> Trace:
    """Three nodes meet, and some of what can happen to them does."""
    draw = random.Random(f"trace {seed}")
    world = World(seed, Faults(reply_lost=draw.choice((0.0, 0.1)), latency=draw.choice((0.002, 0.02))))
    names = []
    for _ in range(COUNT):
        names += [each.name for each in world.start(min_nodes=LEAST, max_nodes=MOST)]
        world.run(draw.uniform(0.0, 1.0))
    for _ in range(draw.randint(1, 3)):
        world.run(draw.uniform(0.5, 4.0))
        machine = draw.choice(world.live) if world.live else None
        match draw.choice(("crash", "pause", "leave", "done", "ask")):
            case _ if machine is None or machine.paused:
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
    world.run(8.0)
    return of_simulation(world.notes, names)
