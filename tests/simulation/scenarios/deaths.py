"""Deaths, pauses and outages: who is taken for dead, and who takes over."""

from typing import Any

from rendezvous_core.protocol.operations import List
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
def paused_participant_returns_with_an_old_ask(world: World) -> None:
    """Ranked while it sleeps, evicted, and awake again with an ask that was used up."""
    machines = world.start(3, min_nodes=2, max_nodes=3)
    wait_until(world, lambda: len(world.backend.members) == 3, 5.0, "all asks are there")
    sleeper = pick(world, others(machines, coordinator(world)))
    sleeper.pause()
    wait_until(world, lambda: world.backend.state is not None and state_of(world).round == 1, 20.0, "round 1")
    lag(world, 3.0)
    sleeper.resume()
    check_progress(world)
    expect(len(sleeper.returned) == 1, "the sleeper takes part once")
    expect(sleeper.returned[0].round > 0, "in a later round")


@scenario
def evicted_participant_stays_gone(world: World) -> None:
    """Once it is found dead, its heartbeats do not bring it back into the round."""
    machines = gather(world, 3)
    sleeper = pick(world, others(machines, coordinator(world)))
    for machine in machines:
        machine.diligent = False
    sleeper.pause()
    wait_until(world, lambda: "lost" in state_of(world).gone.values(), 10.0, "it is evicted")
    sleeper.resume()
    world.run(6.0)
    expect(sleeper.name in state_of(world).gone, "it stays gone")
    for machine in machines:
        expect(machine.called, f"{machine.name} is called to a new round")


@scenario
def all_die_and_the_run_id_starts_again(world: World) -> None:
    """The asks of the dead are still in the table when the run starts again."""
    dead = world.start(world.random.randint(1, 3), min_nodes=4, max_nodes=5)
    lag(world, 4.0)
    for machine in dead:
        machine.crash()
    lag(world, 8.0)
    world.start(3, min_nodes=4, max_nodes=5)
    world.run(10.0)
    expect(state_of(world).round_id == "", "three are not enough, whoever asked before")
    world.start(1, min_nodes=4, max_nodes=5)
    check_progress(world)


@scenario
def all_participants_die_and_the_run_id_starts_again(world: World) -> None:
    """A round is complete, but nobody of it lives."""
    for machine in gather(world, 3):
        machine.crash()
    lag(world, 4.0)
    world.start(3, min_nodes=3, max_nodes=3)
    check_progress(world)
    expect(state_of(world).round == 1, "the round after")


@scenario
def process_comes_back_at_the_same_address(world: World) -> None:
    """A new process with the address and pid of a dead participant is another node."""
    machines = gather(world, 3)
    victim = pick(world, machines)
    victim.crash()
    lag(world)
    (successor,) = world.start(1, min_nodes=3, max_nodes=3)
    check_progress(world)
    expect(
        {m.name for m in world.live if m.inside}
        == {m.name for m in others(machines, victim)} | {successor.name},
        "the successor takes the seat",
    )


@scenario
def backend_is_away_for_longer_than_dead_after(world: World) -> None:
    machines = gather(world, 4)
    lag(world)
    world.backend.go_down()
    world.run(world.random.uniform(3.0, 20.0))
    world.backend.come_up()
    world.run(8.0)
    expect_undisturbed(machines)


@scenario
def all_hosts_are_suspended(world: World) -> None:
    machines = gather(world, 4)
    lag(world)
    for machine in machines:
        machine.pause()
    world.run(world.random.uniform(3.0, 20.0))
    for machine in machines:
        lag(world, 0.1)
        machine.resume()
    world.run(8.0)
    expect_undisturbed(machines)


@scenario
def coordinator_resumes_from_its_own_pause(world: World) -> None:
    """The others fell silent for a patient coordinator only while it slept, or while it was cut off."""
    options: dict[str, Any] = {"min_nodes": 4, "max_nodes": 4}
    (leader,) = world.start(1, attempts=12, **options)
    wait_until(world, lambda: world.backend.state is not None, 5.0, "a coordinator")
    machines = [leader, *world.start(3, attempts=2, **options)]
    wait_until(world, lambda: all(machine.inside for machine in machines), 10.0, "the round")
    lag(world)
    if world.random.random() < 0.5:
        leader.pause()
        world.run(6.0)
        leader.resume()
    else:
        leader.cut()
        world.run(6.0)
        leader.mend()
    world.run(6.0)
    expect_undisturbed(machines)


@scenario
def coordinator_returns_and_finds_the_last_beats_of_the_dead(world: World) -> None:
    """What rose while the coordinator was cut off may have risen long ago."""
    options: dict[str, Any] = {"min_nodes": 3, "max_nodes": 3}
    (leader,) = world.start(1, attempts=15, **options)
    wait_until(world, lambda: world.backend.state is not None, 5.0, "a coordinator")
    world.run(1.0)
    leader.cut()
    lag(world, 0.1)
    dead = world.start(1, **options)[0]
    world.run(0.5)
    dead.crash()
    world.run(5.0)
    world.start(1, **options)
    lag(world)
    leader.mend()
    world.run(8.0)
    expect(state_of(world).round_id == "", "the dead do not count")


@scenario
def coordinator_dies(world: World) -> None:
    """Its death as a participant is known at takeover: the silence began when the state stood still."""
    machines = gather(world, 4, min_nodes=2)
    lag(world, 3.0)
    leader = coordinator(world)
    wait_until(
        world,
        lambda: state_of(world).beat == leader.node.member.beat,
        20 * world.faults.latency,
        "the state tells the latest beat",
    )
    leader.crash()
    survivors = others(machines, leader)
    # Its lease has run out, and the same silence counts against its seat.
    wait_until(world, lambda: all(m.called or m.asking for m in survivors), 3.4, "the survivors are told")
    check_progress(world)


@scenario
def coordinator_beats_but_cannot_decide(world: World) -> None:
    machines = gather(world, 4, min_nodes=2)
    leader = coordinator(world)
    leader.broken = List
    lag(world)
    pick(world, others(machines, leader)).crash()
    check_progress(world)


@scenario
def nothing_happens(world: World) -> None:
    """The coordinator renews the state, so that nobody takes over from it."""
    machines = gather(world, 3)
    term = state_of(world).term
    world.run(15.0)
    expect(state_of(world).term == term, "no takeover")
    expect_undisturbed(machines)


@scenario
def records_of_the_dead_are_removed(world: World) -> None:
    gather(world, 2, max_nodes=5)
    for machine in world.start(3, min_nodes=3, max_nodes=3):
        machine.crash()
    late = world.start(2, min_nodes=2, max_nodes=5)
    lag(world)
    for machine in late:
        machine.crash()
    check_progress(world)
    world.run(40.0)
    expect(len(world.backend.members) == 2, "the table does not grow without end")


@scenario
def several_coordinators_beat_but_cannot_decide(world: World) -> None:
    """All but one are broken: who failed as coordinator gives the others a chance."""
    machines = gather(world, 8, min_nodes=2)
    for machine in machines[:6]:
        machine.broken = List
    lag(world)
    machines[7].crash()
    check_progress(world)


@scenario
def creator_dies_before_its_record_is_there(world: World) -> None:
    (creator,) = world.start(1, min_nodes=2, max_nodes=3)
    wait_until(world, lambda: world.backend.state is not None, 5.0, "the state")
    creator.crash()
    lag(world)
    world.start(3, min_nodes=2, max_nodes=3)
    check_progress(world)


@scenario
def many_take_over_at_once(world: World) -> None:
    """One claim wins; the others see it in the answer to their own."""
    machines = gather(world, 24)
    for machine in machines:
        machine.diligent = False
    leader = coordinator(world)
    leader.crash()
    wait_until(world, lambda: state_of(world).coordinator != leader.name, 6.0, "a takeover")
    serial, term = state_of(world).serial, state_of(world).term
    world.run(2.0)
    expect(state_of(world).term == term, "one takeover is enough")
    expect(state_of(world).serial - serial < 8, "nobody writes but the coordinator")


@scenario
def machine_sleeps(world: World) -> None:
    """Its clock goes on meanwhile, so it takes nobody for living who fell silent while it slept."""
    options: dict[str, Any] = {"min_nodes": 3, "max_nodes": 3}
    (leader,) = world.start(1, **options)
    (dead,) = world.start(1, **options)
    wait_until(world, lambda: len(world.backend.members) == 2, 3.0, "two ask")
    world.run(world.random.uniform(0.5, 3.0))
    sleeper = coordinator(world)
    other = dead if sleeper is leader else leader
    sleeper.sleep()
    lag(world, 0.5)
    other.crash()
    world.run(world.random.uniform(4.0, 30.0))
    late = world.start(1, **options)
    lag(world)
    sleeper.wake()
    world.run(8.0)
    expect(state_of(world).round_id == "", "the dead do not count")
    world.start(1, **options)
    check_progress(world)
    expect(late[0].inside is not None, "the living do")
