"""Stories of a run id that is used again (Rules 21 and 22)."""

from rendezvous_core import RendezvousClosedError, RendezvousStateError
from tests.simulation.invariants import check_progress
from tests.simulation.scenarios.telling import (
    expect,
    gather,
    pick,
    scenario,
    state_of,
    wait_until,
)
from tests.simulation.world import World


@scenario
def closed_run_is_reopened_while_some_are_at_work(world: World) -> None:
    """The next job is alone in its rounds; those of the one before are neither called nor in its way."""
    former = gather(world, 2)
    pick(world, former).close()
    wait_until(world, lambda: state_of(world).phase == "closed", 10.0, "the run is closed")
    latter = world.start(2, min_nodes=2, max_nodes=2, reopens=True)
    wait_until(world, lambda: all(machine.inside for machine in latter), 30.0, "the next job's round")
    expect(state_of(world).reopened == 1, "reopened once")
    world.run(20.0)
    for machine in former:
        expect(machine.inside is not None and not machine.called, f"{machine.name} is not called")
        expect(machine.node.is_closed, f"{machine.name} takes the run for closed")
    former[0].close()
    former[1].quit("done")
    latter[0].crash()
    wait_until(world, lambda: former[1].node.finished, 10.0, "the former job's node leaves")
    (third,) = world.start(1, min_nodes=2, max_nodes=2)
    wait_until(world, lambda: bool(third.inside and latter[1].inside), 60.0, "the next job goes on")


@scenario
def waiting_node_does_not_reopen(world: World) -> None:
    """The one who closes the run means those who wait in it."""
    (waiting,) = world.start(1, min_nodes=2, max_nodes=2, reopens=True)
    world.run(5.0)
    waiting.close()
    wait_until(world, lambda: waiting.node.finished, 10.0, "the waiting node ends")
    expect(isinstance(waiting.node.outcome, RendezvousClosedError), f"it got {waiting.node.outcome!r}")
    expect(state_of(world).phase == "closed", "the run stays closed")


@scenario
def state_of_a_reopened_run_is_lost(world: World) -> None:
    """Whoever knows it reopened brings it back, whatever those remember who saw it closed."""
    former = gather(world, 2)
    former[0].close()
    wait_until(world, lambda: state_of(world).phase == "closed", 10.0, "the run is closed")
    latter = world.start(2, min_nodes=2, max_nodes=2, reopens=True)
    wait_until(world, lambda: all(machine.inside for machine in latter), 30.0, "the next job's round")
    world.backend.lose_state()
    world.run(20.0)
    expect(state_of(world).reopened == 1 and state_of(world).phase == "complete", "it is as it was")


@scenario
def two_jobs_without_an_id_meet(world: World) -> None:
    """The second one is told, and disturbs nobody."""
    gather(world, 2, has_id=False, reopens=True)
    (second,) = world.start(1, min_nodes=2, max_nodes=2, has_id=False, reopens=True)
    wait_until(world, lambda: second.node.finished, 30.0, "the second job is refused")
    error = second.node.outcome
    expect(isinstance(error, RendezvousStateError) and "--rdzv-id" in str(error), f"it got {error!r}")
    check_progress(world)


@scenario
def node_without_an_id_takes_the_place_of_a_dead_one(world: World) -> None:
    """It is not taken for one of another job before the dead one would have been found."""
    machines = gather(world, 2, has_id=False, reopens=True)
    pick(world, machines).crash()
    (third,) = world.start(1, min_nodes=2, max_nodes=2, has_id=False, reopens=True)
    wait_until(world, lambda: third.inside is not None, 60.0, "the third node has a place")
    check_progress(world)
