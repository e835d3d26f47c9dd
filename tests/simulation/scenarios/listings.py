"""Listings that take their time."""

from tests.simulation.invariants import check_progress
from tests.simulation.machine import Machine
from tests.simulation.scenarios.telling import (
    coordinator,
    expect,
    expect_undisturbed,
    gather,
    others,
    pick,
    scenario,
    state_of,
    wait_until,
)
from tests.simulation.world import World


@scenario
def listings_are_slow(world: World) -> None:
    """A death is dated by the time that has passed, and nobody is dead because nobody could look."""
    machines = gather(world, 4, min_nodes=2, attempts=world.random.randint(3, 6))
    for machine in machines:
        machine.slow_listing = world.random.uniform(0.4, 2.0)
    world.run(12.0)
    expect_undisturbed(machines)
    _expect_death(world, machines)


@scenario
def coordinator_takes_over_where_listings_are_slow(world: World) -> None:
    """Its first pass takes longer than a period: it renews the state nevertheless, and stays in office."""
    machines = gather(world, 4, min_nodes=2)
    world.run(2.0)
    for machine in machines:
        machine.slow_listing = world.random.uniform(1.6, 2.0)
        machine.diligent = False
    leader = coordinator(world)
    leader.crash()
    wait_until(world, lambda: state_of(world).coordinator != leader.name, 6.0, "a takeover")
    term = state_of(world).term
    world.run(12.0)
    expect(state_of(world).term == term, "one takeover is enough")


@scenario
def listings_take_longer_than_a_lease(world: World) -> None:
    """Terms change hands until all have failed once: then they wait long enough for one to finish a pass."""
    machines = gather(world, 4, min_nodes=2)
    for machine in machines:
        machine.slow_listing = world.random.uniform(1.1, 1.5) * machine.timing.dead_after
    world.run(60.0)
    # Who lists is silent for longer than its own patience, and may be evicted when it is deposed.
    term, rounds = state_of(world).term, [len(machine.returned) for machine in machines]
    world.run(20.0)
    expect(state_of(world).term == term, "one of them coordinates")
    expect([len(machine.returned) for machine in machines] == rounds, "nobody is disturbed any more")
    _expect_death(world, machines)


def _expect_death(world: World, machines: list[Machine]) -> None:
    """Have one of ``machines`` die, whose coordinator lists slowly, and be dated as well as can be."""
    leader = coordinator(world)
    victim = pick(world, others(machines, leader))
    victim.crash()
    # It is first listed after a listing that just missed its last beat, counts as alive until that was
    # answered, and is listed for the last time after one that found it silent for just too short a time.
    listing = leader.slow_listing + 20 * world.faults.latency
    gap = 2 * leader.timing.look + 20 * world.faults.latency
    seconds = 1.01 * (victim.timing.dead_after + 4 * listing + 2 * gap)
    wait_until(world, lambda: victim.name in state_of(world).gone, seconds, "it is found dead")
    check_progress(world)


@scenario
def coordinator_is_paused_while_it_lists(world: World) -> None:
    """All are suspended with it, so what it listed before is no sign that they are dead."""
    machines = gather(world, 4)
    leader = coordinator(world)
    leader.slow_listing = 0.05
    for _ in range(3):
        world.run(2.0)
        wait_until(world, lambda: leader.lists, 3.0, "it lists")
        for machine in machines:
            machine.pause()
        world.run(world.random.uniform(3.0, 20.0))
        leader.resume()
        world.run(world.random.uniform(0.2, 0.4))
        for machine in machines:
            machine.resume()
    world.run(8.0)
    expect_undisturbed(machines)
