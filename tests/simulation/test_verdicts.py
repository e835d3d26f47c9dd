"""What the simulated world takes for a broken promise, and what not."""

import pytest
from msgspec.structs import replace

from tests.simulation.invariants import Violation
from tests.simulation.scenarios.telling import coordinator, gather, others, state_of
from tests.simulation.world import World


def test_write_is_judged_by_what_was_known_when_it_was_sent() -> None:
    """One that comes late evicts a node that has beaten since; one that is sent now must not."""
    world = World(1)
    machines = gather(world, 3, min_nodes=2)
    leader, state = coordinator(world), state_of(world)
    victim = others(machines, leader)[0]
    for machine in machines:
        machine.pause()
    world.run(2 * victim.timing.dead_after)
    world.invariants.on_list(leader)
    sent = world.now
    world.run(0.1)
    world.invariants.on_put(replace(victim.node.member, beat=100))
    world.invariants.on_list(leader)
    evicted = replace(
        state, serial=state.serial + 1, gone={victim.name: "lost"}, spent=state.spent | {victim.name: 1}
    )
    world.invariants.on_write(leader, state, evicted, sent)
    with pytest.raises(Violation, match=f"exclusivity: {victim.name} counts as lost"):
        world.invariants.on_write(leader, state, evicted)
