"""Nodes that are to go say so ahead, or are told from outside (Rule 23)."""

from rendezvous_core import RendezvousConnectionError
from rendezvous_core.protocol.operations import Rest, Steps
from tests.simulation.invariants import check_progress
from tests.simulation.machine import Machine
from tests.simulation.scenarios.telling import (
    coordinator,
    expect,
    expect_undisturbed,
    gather,
    lag,
    others,
    pick,
    scenario,
    state_of,
    wait_until,
)
from tests.simulation.world import World


def drain(caller: Machine, *goers: Machine, within: float) -> None:
    """Have ``caller`` tell all that others, or it itself, are to go."""
    caller.world.note(caller.name, "has drain", *(goer.name for goer in goers))
    for goer in goers:
        goer.quits.setdefault(goer.node.member.ticket, set()).add("leave")
    caller._tick()
    until = {goer.name: caller.node.now + within for goer in goers}

    def steps() -> Steps:
        while True:
            try:
                yield from caller.node.drain(until)
            except RendezvousConnectionError:
                yield Rest(0.05)
            else:
                return

    caller._resume(steps())


@scenario
def participant_drains(world: World) -> None:
    """All are told and go on, until it goes at its deadline; then they go on without it."""
    machines = gather(world, 4, min_nodes=2)
    goer = pick(world, machines)
    lag(world, 3.0)
    began = world.now
    drain(goer, goer, within=6.0)
    wait_until(world, lambda: all(len(m.node.leaving) == 1 for m in machines), 1.5, "all are told")
    while world.now < began + 5.0:
        world.run(0.5)
        expect_undisturbed(machines)
    stay = others(machines, goer)
    wait_until(world, lambda: goer.node.finished, began + 6.5 - world.now, "it goes")
    expect(world.now >= began + 5.5, "not before its time")
    wait_until(world, lambda: all(len(m.returned) == 2 for m in stay), 2.0, "the others form a round")
    expect(not any(m.node.leaving for m in stay), "nobody else is to go")
    wait_until(world, lambda: state_of(world).draining == {}, 2.0, "what has happened is forgotten")
    check_progress(world)


@scenario
def coordinator_drains_and_others_die(world: World) -> None:
    """Whoever drains is in no other round, whatever makes the group form again."""
    machines = gather(world, 4, min_nodes=1)
    goer = coordinator(world) if world.random.random() < 0.5 else pick(world, machines)
    caller = pick(world, machines)
    drain(caller, goer, within=30.0)
    wait_until(world, lambda: goer.name in state_of(world).draining, 1.5, "it is noted")
    pick(world, others(machines, goer)).crash()
    lag(world, 2.0)
    (late,) = world.start(1, min_nodes=1)
    wait_until(world, lambda: goer.node.finished, 12.0, "it goes, as it may not come along")
    expect(len(goer.returned) == 1, "it has been in no other round")
    check_progress(world)
    expect(late.inside is not None, "newcomers are welcome")


@scenario
def spare_drains(world: World) -> None:
    """It is no more waited for, though the order comes while it waits."""
    machines = gather(world, 2, max_nodes=2)
    (spare,) = world.start(1, min_nodes=2, max_nodes=2)
    lag(world, 1.0)
    leader = coordinator(world)
    drain(leader, spare, within=20.0)
    wait_until(world, lambda: spare.node.finished, 3.0, "it goes at once")
    expect(not spare.returned, "it was never in")
    expect_undisturbed(machines)


@scenario
def place_gets_free_for_a_spare_that_drains(world: World) -> None:
    """It is not taken, though it has not heard of the order yet."""
    machines = gather(world, 2, min_nodes=1, max_nodes=2)
    (spare,) = world.start(1, min_nodes=1, max_nodes=2)
    world.run(1.5)
    spare.pause()
    drain(pick(world, machines), spare, within=20.0)
    wait_until(world, lambda: spare.name in state_of(world).draining, 1.0, "it is noted")
    pick(world, machines).quit("leave")
    world.run(1.0)
    expect(all(seat.node != spare.name for seat in state_of(world).roster), "the spare is not taken")
    spare.resume()
    check_progress(world)
    expect(not spare.returned, "it was never in")


@scenario
def drained_node_is_asked_back(world: World) -> None:
    """By its user, and not before."""
    machines = gather(world, 3, min_nodes=2)
    goer = pick(world, machines)
    drain(goer, goer, within=1.0)
    wait_until(world, lambda: goer.node.finished, 3.0, "it goes")
    lag(world, world.random.choice((0.02, 5.0)))
    expect(len(goer.returned) == 1, "it stays away")
    goer.ask()  # as a loop does that knows nothing
    wait_until(world, lambda: goer.node.finished, 3.0, "it is told to stay away")
    expect(len(goer.returned) == 1, "it is not in")
    lag(world, 0.02)
    goer.ask()
    wait_until(world, lambda: goer.inside is not None, 6.0, "it is back")
    check_progress(world)


@scenario
def drain_is_noted_in_an_outage(world: World) -> None:
    """The node goes in time, whether or not anybody could be told."""
    machines = gather(world, 3, min_nodes=2)
    goer = pick(world, machines)
    world.backend.down = True
    drain(goer, goer, within=2.0)
    world.run(world.random.uniform(0.5, 4.0))
    world.backend.down = False
    wait_until(world, lambda: goer.node.finished, 6.0, "it goes")
    expect(len(goer.returned) == 1, "it is in no other round")
    check_progress(world)
