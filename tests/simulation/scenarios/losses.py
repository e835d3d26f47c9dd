"""The backend loses what it acknowledged."""

from msgspec.structs import replace

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
def state_is_lost(world: World) -> None:
    machines = gather(world, 4)
    lag(world)
    world.backend.lose_state(members=world.random.random() < 0.5)
    world.run(6.0)
    expect_undisturbed(machines)
    expect(state_of(world).round_id == machines[0].returned[0].round_id, "the round goes on")


@scenario
def state_is_rolled_back(world: World) -> None:
    """To a round before the present one, perhaps with its tokens issued once more."""
    machines = gather(world, 3, min_nodes=2, max_nodes=4)
    world.run(1.0)
    snapshot = world.backend.snapshot()
    machines += world.start(1, min_nodes=2, max_nodes=4)
    wait_until(world, lambda: all(len(m.returned) == 2 for m in machines[:3]), 10.0, "round 1")
    lag(world)
    round_id = state_of(world).round_id
    world.backend.roll_back(snapshot, reissue=world.random.random() < 0.5)
    world.run(8.0)
    expect(state_of(world).round_id == round_id, "the round goes on")
    expect_undisturbed(machines[:3], 2)
    expect_undisturbed(machines[3:])


@scenario
def state_is_rolled_back_to_before_the_round(world: World) -> None:
    """The coordinator of old wakes up, knows nothing, and finds the state that it left."""
    world.start(1, min_nodes=3, max_nodes=3)
    wait_until(world, lambda: bool(world.backend.members), 5.0, "a coordinator")
    world.run(0.3)
    leader, snapshot = coordinator(world), world.backend.snapshot()
    leader.pause()
    machines = world.start(3, min_nodes=3, max_nodes=3)
    wait_until(world, lambda: all(m.inside for m in machines), 20.0, "a round without it")
    lag(world)
    world.backend.roll_back(snapshot, reissue=world.random.random() < 0.5)
    leader.resume()
    world.run(8.0)
    expect_undisturbed(machines)


@scenario
def state_is_rolled_back_while_a_participant_is_away(world: World) -> None:
    """Whoever starts then must not complete a round of a number that a sleeper has seen."""
    dead = world.start(2, min_nodes=3, max_nodes=3)
    wait_until(world, lambda: world.backend.state is not None, 5.0, "a coordinator")
    early = state_of(world)
    (away,) = world.start(1, min_nodes=3, max_nodes=3, attempts=40)
    wait_until(world, lambda: all(m.inside for m in (away, *dead)), 10.0, "the round")
    world.run(4.0)
    away.pause()
    for machine in dead:
        machine.crash()
    kept = dict(world.backend.members)
    world.backend.roll_back((early, kept, 1))
    young = world.start(3, min_nodes=3, max_nodes=3)
    world.run(world.random.uniform(10.0, 25.0))
    expect(not any(m.returned for m in young), "the round of the sleeper is not over")
    away.resume()
    check_progress(world)
    expect(all(joined.round > 0 for m in young for joined in m.returned), "no round has number 0 again")


@scenario
def state_is_rolled_back_and_its_participants_die(world: World) -> None:
    """Only their records tell that there was a round."""
    world.start(1, min_nodes=3, max_nodes=3)
    wait_until(world, lambda: world.backend.state is not None, 5.0, "a coordinator")
    early = state_of(world)
    world.start(2, min_nodes=3, max_nodes=3)
    dead = world.live
    wait_until(world, lambda: all(m.inside for m in dead), 10.0, "the round")
    world.run(2.0)
    for machine in dead:
        machine.crash()
    world.backend.roll_back((early, world.backend.members, 1))
    lag(world)
    world.start(3, min_nodes=3, max_nodes=3)
    check_progress(world)
    expect(state_of(world).round == 1, f"the second round is number {state_of(world).round}")


@scenario
def state_is_rolled_back_within_a_round(world: World) -> None:
    """Who was found dead stays dead: the serial tells the newer state of one round."""
    machines = gather(world, 3)
    for machine in machines:
        machine.diligent = False
    world.run(1.0)
    snapshot = world.backend.snapshot()
    victim = pick(world, others(machines, coordinator(world)))
    victim.pause()
    wait_until(world, lambda: victim.name in state_of(world).gone, 8.0, "it is evicted")
    world.run(2.0)
    victim.resume()
    world.backend.roll_back((snapshot[0], dict(world.backend.members), snapshot[2]))
    world.run(2.5)
    expect(victim.name in state_of(world).gone, "it stays gone")


@scenario
def closed_run_is_rolled_back(world: World) -> None:
    """Closed is never older, whatever its serial."""
    machines = gather(world, 3)
    world.run(1.0)
    snapshot = world.backend.snapshot()
    pick(world, machines).close()
    wait_until(world, lambda: state_of(world).phase == "closed", 3.0, "it is closed")
    world.run(2.0)
    world.backend.roll_back(snapshot)
    world.run(3.0)
    expect(state_of(world).phase == "closed", "it is closed again")
    high = replace(state_of(world), phase="complete", serial=10**6)
    world.backend.roll_back((high, {}, 0))
    world.run(3.0)
    expect(state_of(world).phase == "closed", "it is closed again, however new the other state looked")


@scenario
def states_are_lost_again_and_again(world: World) -> None:
    machines = gather(world, 5)
    for _ in range(8):
        lag(world)
        world.backend.lose_state(members=world.random.random() < 0.5)
    world.run(6.0)
    expect_undisturbed(machines)
