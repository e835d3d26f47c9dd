"""Asking, giving up, leaving, being done, closing."""

from msgspec.structs import replace

from rendezvous_core import RendezvousClosedError, RendezvousGracefulExitError
from rendezvous_core.protocol.operations import Write
from tests.simulation.invariants import check_progress
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


@scenario
def ask_is_given_up(world: World) -> None:
    """Whoever has withdrawn is not ranked, at whatever moment the others come."""
    pair = world.start(1, min_nodes=2, max_nodes=2)
    lag(world, 0.5)
    pair += world.start(1, min_nodes=2, max_nodes=2)
    goer = pick(world, pair)
    (other,) = others(pair, goer)
    lag(world, 0.03)
    goer.quit("cancel")
    wait_until(world, lambda: goer.node.finished or bool(goer.inside), 3.0, "an answer")
    if goer.node.finished:
        world.run(6.0)
        expect(not other.returned, "the other is still alone")
    else:
        wait_until(world, lambda: bool(other.inside), 3.0, "both are in")
    world.start(1, min_nodes=2, max_nodes=2)
    check_progress(world)


@scenario
def cancel_comes_just_after_the_answer(world: World) -> None:
    """It is void: the node is in the round, and lives in it as any other."""
    machines = gather(world, 3, min_nodes=2)
    late = pick(world, machines)
    late.quit("cancel")
    lag(world, 3.0)
    late.pause()
    wait_until(world, lambda: state_of(world).round == 1, 15.0, "the others go on without it")
    late.resume()
    check_progress(world)
    expect(late.inside is not None, "it was told, and asked again")


@scenario
def participant_asks_anew_and_gives_that_up(world: World) -> None:
    """It has left the round, and its later ticket stays spent when the round ends."""
    machines = gather(world, 4, min_nodes=2)
    goer = pick(world, machines)
    goer.diligent = False
    goer.ask()
    goer.quit("cancel")
    wait_until(world, lambda: goer.node.finished, 4.0, "it has withdrawn")
    wait_until(
        world, lambda: all(m.called or m.asking for m in others(machines, goer)), 1.5, "others are told"
    )
    check_progress(world)
    expect(state_of(world).spent[goer.name] == 2, "its later ticket is spent")


@scenario
def exception_leaves_next_rendezvous(world: World) -> None:
    """The user's call ends at once, the background sees the withdrawal through, and he asks again."""
    machines = world.start(3, min_nodes=3, max_nodes=3)
    lag(world, 0.03)
    hasty = pick(world, machines)
    hasty.quit("leave")
    lag(world, 0.03)
    if world.random.random() < 0.3:
        hasty.quit("cancel")
        lag(world, 0.03)
    hasty.ask()
    check_progress(world)
    expect(hasty.inside is not None, "it is in after all")


@scenario
def fifty_nodes_give_up_at_once(world: World) -> None:
    """The coordinator among them: they need neither its death nor a write each."""
    machines = world.start(50, min_nodes=60, max_nodes=60)
    world.run(2.0)
    began = world.backend.version
    for machine in machines:
        machine.quit("cancel")
    wait_until(world, lambda: all(m.node.finished for m in machines), 2.0, "all have withdrawn")
    expect(world.backend.version - began < 20, f"{world.backend.version - began} writes")


@scenario
def close_comes_at_any_moment(world: World) -> None:
    machines = world.start(4, min_nodes=2, max_nodes=3, last_call=0.5)
    lag(world, world.random.choice((0.05, 1.0, 4.0)))
    closer = pick(world, machines)
    if world.random.random() < 0.3:
        pick(world, machines).pause()
    closer.close()
    lag(world, 0.01)
    if world.random.random() < 0.5:
        pick(world, machines).close()
    world.run(1.0)
    world.heal()
    (late,) = world.start(1, min_nodes=2, max_nodes=3)
    check_progress(world)
    expect(state_of(world).phase == "closed", "it is closed")
    expect(
        isinstance(late.node.outcome, (RendezvousClosedError, RendezvousGracefulExitError)), "all are told"
    )


@scenario
def participants_are_done(world: World) -> None:
    """Nobody is called while the others finish; when all are done the run closes and spares may go."""
    machines = gather(world, 3)
    (spare,) = world.start(1, min_nodes=3, max_nodes=3)
    world.random.shuffle(machines)
    while machines:
        lag(world, 3.0)
        expect_undisturbed(machines)
        machines.pop().quit("done")
    wait_until(world, lambda: spare.node.finished, 3.0, "the spare is told")
    expect(type(spare.node.outcome) is RendezvousGracefulExitError, f"it got {spare.node.outcome!r}")
    expect(state_of(world).phase == "closed", "the run is closed")


@scenario
def coordinator_leaves(world: World) -> None:
    """Its heir coordinates at once; nobody waits for a lease to run out."""
    machines = gather(world, 4, min_nodes=2)
    lag(world)
    leader = coordinator(world)
    leader.quit("leave")
    world.start(1, min_nodes=2, max_nodes=4)
    wait_until(world, lambda: leader.node.finished, 1.0, "it has left")
    wait_until(world, lambda: all(len(m.returned) == 2 for m in others(machines, leader)), 1.0, "round 1")
    check_progress(world)


@scenario
def heir_is_dead(world: World) -> None:
    """It died before it was appointed: the state stands still until somebody else takes over."""
    machines = gather(world, 4, min_nodes=2)
    leader = coordinator(world)
    for machine in others(machines, leader)[: world.random.randint(1, 2)]:
        machine.crash()
    leader.quit("leave")
    check_progress(world)


@scenario
def heir_leaves_at_once(world: World) -> None:
    machines = gather(world, 4, min_nodes=2)
    world.random.shuffle(machines)
    for machine in machines[: world.random.randint(1, 4)]:
        machine.quit("leave")
        lag(world, 0.01)
    check_progress(world)


@scenario
def heir_beats_once_more_and_dies(world: World) -> None:
    """By chance its last beat has the number of its predecessor's: its silence is its own nevertheless."""
    machines = gather(world, 3, min_nodes=2)
    leader = coordinator(world)
    heir = next(world.machines[seat.node] for seat in state_of(world).roster if seat.node != leader.name)
    leader.node.member = replace(leader.node.member, beat=100)
    heir.node.member = replace(heir.node.member, beat=99)
    world.run(world.random.uniform(2.0, 3.0))
    heir.broken, heir.diligent = Write, False
    leader.quit("leave")
    beat = heir.node.member.beat
    wait_until(world, lambda: world.backend.members[heir.name].beat > beat, 2.5, "one more beat")
    heir.crash()
    check_progress(world)
    expect(all(machine.inside is None for machine in others(machines, leader, heir)), "one is too few")
