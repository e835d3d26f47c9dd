"""Nodes of other settings, and of other timings."""

from typing import Any

from rendezvous_core import RendezvousStateError
from tests.simulation.faults import Faults
from tests.simulation.invariants import check_progress
from tests.simulation.scenarios.telling import (
    coordinator,
    expect,
    expect_undisturbed,
    gather,
    lag,
    pick,
    scenario,
    state_of,
    wait_until,
)
from tests.simulation.world import World


@scenario
def node_of_other_settings_is_told(world: World) -> None:
    machines = gather(world, 2, max_nodes=4, last_call=0.5)
    (stranger,) = world.start(1, min_nodes=1, max_nodes=4)
    wait_until(world, lambda: stranger.node.finished, 4.0, "the stranger is told")
    expect(type(stranger.node.outcome) is RendezvousStateError, "with an error")
    expect("min_nodes is 1 here and 2 there" in str(stranger.node.outcome), "that names the difference")
    world.run(4.0)
    expect_undisturbed(machines)


@scenario
def run_id_is_used_again_with_other_settings(world: World) -> None:
    """The group of old has left, or died: its settings do not bind."""
    machines = gather(world, 2)
    (spare,) = world.start(1, min_nodes=2, max_nodes=2)
    world.run(1.0)
    spare.crash()
    for machine in machines:
        if world.random.random() < 0.5:
            machine.quit("leave")
        else:
            machine.crash()
    wait_until(world, lambda: all(m.node.finished for m in world.live), 10.0, "all are gone")
    lag(world, 3.0)
    world.start(3, min_nodes=3, max_nodes=3)
    check_progress(world)
    expect(len(state_of(world).active()) == 3, "three are in")


@scenario
def node_of_other_settings_waits_while_the_coordinator_dies(world: World) -> None:
    """Those of the group go first: it does not take the group over."""
    machines = gather(world, 3, min_nodes=2)
    world.faults = Faults(wake_up_lost=1.0)
    world.run(world.random.uniform(1.0, 3.0))
    coordinator(world).crash()
    world.start(4, min_nodes=1, max_nodes=3)
    check_progress(world)
    expect(state_of(world).settings == machines[0].settings, "the settings stand")


@scenario
def node_of_other_settings_finds_no_state(world: World) -> None:
    """The state is lost while it waits: the group's comes back, not an empty one of its own."""
    machines = gather(world, 3)
    lag(world)
    world.start(2, min_nodes=1, max_nodes=3)
    lag(world, 0.5)
    world.backend.lose_state(members=False)
    world.run(6.0)
    expect_undisturbed(machines)


@scenario
def keep_alives_differ(world: World) -> None:
    options: dict[str, Any] = {"min_nodes": 3, "max_nodes": 6}
    for interval in (0.3, 1.0, 3.0, 0.3, 1.0):
        world.start(1, interval=interval, attempts=world.random.randint(2, 4), **options)
    machines = list(world.machines.values())
    wait_until(world, lambda: all(machine.inside for machine in machines), 20.0, "the round")
    rounds = len(machines[0].returned)
    world.run(20.0)
    for machine in machines:
        expect(machine.inside is not None and not machine.called, f"{machine.name} was disturbed")
    expect(len(machines[0].returned) == rounds, "nobody was disturbed")
    pick(world, machines).crash()
    check_progress(world)


@scenario
def one_node_is_very_slow(world: World) -> None:
    """Its answers take a good part of a period."""
    machines = gather(world, 3)
    pick(world, machines).slowness = 0.2
    world.run(15.0)
    expect_undisturbed(machines)
