"""Backends, networks and clocks that do what they should not, and mostly do not."""

from rendezvous_core import RendezvousStateError
from rendezvous_core.records.codec import encode_state
from rendezvous_core.records.ledger import PAGE
from tests.simulation.faults import Faults
from tests.simulation.invariants import check_progress
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
def listings_leave_some_out(world: World) -> None:
    """A record that is missing now and then is no silence (Rule 4)."""
    machines = gather(world, 4, min_nodes=2)
    world.backend.partial = 0.3
    world.run(20.0)
    expect_undisturbed(machines)


@scenario
def listings_leave_out_who_has_died(world: World) -> None:
    """An ask whose node is dead is no fresher when it is listed again (Rule 5)."""
    leader, *machines = world.start(4, min_nodes=5, max_nodes=6)
    world.run(2.0)
    victim = pick(world, machines)
    victim.crash()
    world.backend.partial = 0.5
    world.run(10.0)
    world.backend.partial = 0.0
    living = [leader, *others(machines, victim), *world.start(2, min_nodes=5, max_nodes=6)]
    wait_until(world, lambda: all(each.inside for each in living), 20.0, "the living are together")
    expect(state_of(world).rank(victim.name, 1) is None, "they are so without it")


@scenario
def participant_hears_nothing(world: World) -> None:
    """What it sends arrives; the others go on without it, and it comes back when it can."""
    machines = gather(world, 3, min_nodes=2)
    deaf = pick(world, others(machines, coordinator(world)))
    deaf.deaf = True
    rest = others(machines, deaf)
    wait_until(world, lambda: all(len(each.returned) == 2 for each in rest), 15.0, "the others go on")
    expect(state_of(world).rank(deaf.name, 1) is None, "without it")
    deaf.deaf = False
    wait_until(world, lambda: all(each.inside and not each.called for each in machines), 15.0, "it is back")
    world.run(2.0)
    expect(len(state_of(world).active()) == 3, "they are three again")


@scenario
def coordinator_hears_nothing(world: World) -> None:
    """Its writes stand, and it never knows: another one takes over."""
    machines = gather(world, 3, min_nodes=2)
    leader = coordinator(world)
    leader.deaf = True
    wait_until(world, lambda: state_of(world).coordinator != leader.name, 15.0, "a takeover")
    leader.deaf = False
    wait_until(world, lambda: all(each.inside and not each.called for each in machines), 20.0, "all are back")


@scenario
def clocks_jump(world: World) -> None:
    """An observer's own leap is not held against others (Rule 4)."""
    machines = gather(world, 3, min_nodes=2)
    for _ in range(5):
        pick(world, machines).jump(world.random.choice((0.5, 3.0, 60.0, 86_400.0)))
        world.run(world.random.uniform(1.0, 3.0))
    expect_undisturbed(machines)


@scenario
def clock_stands_still(world: World) -> None:
    """Its node does nothing in time: that is a pause to the others, and over when the clock goes on."""
    machines = gather(world, 3, min_nodes=2)
    still = pick(world, machines)
    still.stop_clock()
    rest = others(machines, still)
    wait_until(world, lambda: all(len(each.returned) == 2 for each in rest), 20.0, "the others go on")
    still.start_clock()
    wait_until(world, lambda: all(each.inside and not each.called for each in machines), 15.0, "it is back")


@scenario
def clock_stops_as_something_falls_due(world: World) -> None:
    """Nothing does any more, and its node asks again and again: its period is as long as that lasts."""
    machines = gather(world, 3, min_nodes=2)
    still = pick(world, machines)
    world.run(max(0.0, still.node._next_duty() - still.clock - 0.001))
    still.stop_clock()
    world.run(2.0)
    still.start_clock()
    wait_until(world, lambda: all(each.inside and not each.called for each in machines), 15.0, "all are in")


@scenario
def state_is_too_long_for_a_round(world: World) -> None:
    """Who cannot write it is told so; those that are left form a round whose state has room."""
    world.backend.limit = _length(world, 4)
    machines = world.start(6, min_nodes=2, max_nodes=6, page=PAGE)
    world.run(30.0)
    check_progress(world)
    told = [m for m in machines if isinstance(m.node.outcome, RendezvousStateError)]
    expect(bool(told), "somebody is told that the state is too long")


@scenario
def state_is_too_long_for_a_departure(world: World) -> None:
    """Nobody is told what does not stand; it is noted as soon as there is room."""
    machines = gather(world, 4, min_nodes=2, page=PAGE)
    world.run(1.2)
    world.backend.limit = len(encode_state(state_of(world).head)) + 8
    round_id = state_of(world).round_id
    victim = pick(world, machines)
    victim.crash()
    world.run(20.0)
    expect(state_of(world).round_id == round_id, "the round stands")
    expect_undisturbed(others(machines, victim))
    world.backend.limit = None
    check_progress(world)
    expect(victim.name not in {seat.node for seat in state_of(world).active()}, "its death is noted")


@scenario
def head_does_not_grow(world: World) -> None:
    """A limit that few nodes fit is none where the ledger is kept apart."""
    world.backend.limit = _length(world, 4)
    machines = gather(world, 12, min_nodes=2, page=2)
    victim = pick(world, machines)
    victim.crash()
    check_progress(world)
    expect(all(len(m.returned) == 2 for m in others(machines, victim)), "they go on without it")


def _length(world: World, nodes: int) -> int:
    """How long a state is that has room for so many nodes, and for none more."""
    other = World(world.seed)
    gather(other, nodes, page=PAGE)
    return len(encode_state(state_of(other))) + 8


@scenario
def everything_comes_twice(world: World) -> None:
    """Writes, puts and removals are repeated, some time later, in another order."""
    machines = world.start(4, min_nodes=2, max_nodes=4)
    world.faults = Faults(twice=0.7, lateness=2.0)
    for _ in range(8):
        world.run(world.random.uniform(0.2, 1.5))
        pick(world, machines).ask()
    goer = pick(world, machines)
    goer.quit("leave")
    world.run(6.0)
    world.heal()
    check_progress(world)
    expect(goer.name not in {seat.node for seat in state_of(world).active()}, "who left is out")
