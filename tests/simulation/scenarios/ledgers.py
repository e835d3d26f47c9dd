"""Groups so large, as they take it here, that their ledger is kept apart from the state."""

from collections import Counter

from rendezvous_core.protocol.operations import Fetch, Write
from rendezvous_core.records.ledger import HEIRS
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


def _apart(world: World, count: int = 7, **options: int) -> list[Machine]:
    """Have a round run whose ledger is kept apart, and those who are to have it whole have it."""
    machines = gather(world, count, **({"page": 2} | options))
    world.run(1.2)
    expect(state_of(world).apart is not None, "the ledger is kept apart")
    return machines


def _are_together(machines: list[Machine]) -> bool:
    return all(machine.inside and not machine.called for machine in machines)


def _followers(world: World, machines: list[Machine]) -> list[Machine]:
    """Those who do not have the ledger."""
    ranks = {seat.node: rank for rank, seat in enumerate(state_of(world).roster)}
    return [m for m in others(machines, coordinator(world)) if ranks[m.name] >= HEIRS]


@scenario
def ledger_is_lost_before_it_is_read(world: World) -> None:
    """The coordinator, which has it, is told."""
    machines = world.start(7, min_nodes=7, max_nodes=7, page=2)
    backend = world.backend
    wait_until(world, lambda: backend.state is not None and backend.state.phase == "complete", 9.0, "a round")
    backend.lose_ledger()
    wait_until(world, lambda: all(m.inside for m in machines), 4.0, "all know their ranks")
    world.run(3.0)
    expect_undisturbed(machines)


@scenario
def ledger_and_coordinator_are_lost(world: World) -> None:
    """One of the first ranks takes over, and goes on with what it has."""
    machines = _apart(world, min_nodes=2)
    leader = coordinator(world)
    round_id = state_of(world).round_id
    for machine in machines:
        machine.diligent = False
    world.backend.lose_ledger()
    leader.crash()
    wait_until(world, lambda: leader.name in state_of(world).gone, 8.0, "its death is noted")
    expect(state_of(world).round_id == round_id, "the round goes on")


@scenario
def all_is_lost_with_the_coordinator(world: World) -> None:
    """Whoever has the ledger brings it back, before those do who have the head alone."""
    machines = _apart(world, min_nodes=2)
    leader = coordinator(world)
    round_id = state_of(world).round_id
    for machine in machines:
        machine.diligent = False
    lag(world)
    leader.crash()
    world.backend.lose_state(members=world.random.random() < 0.5)
    wait_until(world, lambda: world.backend.state is not None, 3.0, "the state is back")
    world.run(0.5)
    expect(state_of(world).round_id == round_id, "the round goes on")
    wait_until(world, lambda: leader.name in state_of(world).gone, 8.0, "its death is noted")


@scenario
def head_is_lost_and_the_ledger_is_not(world: World) -> None:
    machines = _apart(world)
    backend, round_id = world.backend, state_of(world).round_id
    ledgers = dict(backend.ledgers)
    lag(world)
    backend.lose_state(members=False)
    backend.ledgers = ledgers
    world.run(6.0)
    expect_undisturbed(machines)
    expect(state_of(world).round_id == round_id, "the round goes on")


@scenario
def ledger_is_lost_with_all_who_have_it(world: World) -> None:
    """Nobody knows who was in the round: it is over, and who is left forms the next one."""
    machines = _apart(world, 8, min_nodes=2)
    left = _followers(world, machines)
    for machine in others(machines, *left):
        machine.crash()
    world.backend.lose_ledger()
    check_progress(world)
    expect(all(len(m.returned) == 2 for m in left), "who is left is together again")


@scenario
def participants_of_a_round_that_nobody_knows_are_no_asks(world: World) -> None:
    """Their records are as they were when they asked, but say that they have a place."""
    machines = _apart(world, 8, min_nodes=2)
    left = _followers(world, machines)
    for machine in machines:
        machine.diligent = False
    for machine in others(machines, *left):
        machine.crash()
    world.backend.lose_ledger()
    young = world.start(2, min_nodes=2, max_nodes=8, page=2)
    wait_until(world, lambda: all(m.inside for m in young), 20.0, "a round of those who ask")
    expect({seat.node for seat in state_of(world).roster} == {m.name for m in young}, "only they are in")


@scenario
def coordinator_dies_between_ledger_and_head(world: World) -> None:
    """A ledger that no state names is of no consequence, whenever it comes."""
    machines = _apart(world, min_nodes=2)
    for machine in machines:
        machine.diligent = False
    leader, (victim, leaver) = coordinator(world), _followers(world, machines)[:2]
    leader.broken = Write
    filed = len(world.backend.filed)
    victim.crash()
    leaver.quit("leave")
    wait_until(world, lambda: len(world.backend.filed) > filed, 8.0, "a ledger of whom nobody knows")
    (leader.crash if world.random.random() < 0.5 else leader.pause)()
    wait_until(world, lambda: {victim.name, leaver.name} <= state_of(world).gone.keys(), 12.0, "all is noted")
    wait_until(world, lambda: leaver.node.finished, 5.0, "it is told that it is out")


@scenario
def deposed_coordinator_writes_a_ledger(world: World) -> None:
    """It comes back, is refused, and drops what it wrote; not what the other one needs."""
    machines = _apart(world, min_nodes=2)
    for machine in machines:
        machine.diligent = False
    leader = coordinator(world)
    victim, leaver = _followers(world, machines)[:2]
    filed = len(world.backend.filed)
    victim.crash()
    wait_until(world, lambda: len(world.backend.filed) > filed, 8.0, "it decides, and writes half of it")
    leader.pause()
    wait_until(world, lambda: state_of(world).coordinator != leader.name, 9.0, "another one takes over")
    wait_until(world, lambda: leader.name in state_of(world).gone, 9.0, "which decides, too")
    leader.resume()
    world.run(3.0)

    def is_alone() -> bool:
        apart = state_of(world).apart
        return apart is not None and world.backend.ledgers.keys() == {apart.id}

    # The victim may just be found dead by that one, too.
    wait_until(world, is_alone, 0.1, "that one's ledger is there alone")
    leaver.quit("leave")
    wait_until(world, lambda: leaver.node.finished, 3.0, "who leaves is told so")


@scenario
def ledgers_are_dropped(world: World) -> None:
    """As soon as another one stands, so that what is kept does not grow."""
    machines = _apart(world, min_nodes=2, max_nodes=9)
    for _ in range(3):
        machines.extend(world.start(1, min_nodes=2, max_nodes=9, page=2))
        wait_until(world, lambda: _are_together(machines), 9.0, "the next round")
        leaver = pick(world, others(machines, coordinator(world)))
        machines.remove(leaver)
        leaver.quit("leave")
        world.run(4.0)
    expect(len(world.backend.ledgers) == 1, f"{len(world.backend.ledgers)} ledgers are kept")


@scenario
def followers_look_once(world: World) -> None:
    """The first round asks them one question, and perhaps once more what raced with the ledger before."""
    machines = world.start(24, min_nodes=24, max_nodes=25, page=2)
    tally = world.invariants.tally = Counter()
    wait_until(world, lambda: all(machine.inside for machine in machines), 9.0, "the round")
    world.run(5.0)
    looks = sorted(tally[machine.name, Fetch] for machine in machines)
    expect(looks[-1 - HEIRS - 1] <= 2, f"they look {looks} times")


@scenario
def asks_of_a_running_round_read_nothing(world: World) -> None:
    """What changes in a ledger within a round is of no concern to who waits for the next one."""
    machines = _apart(world, 6, min_nodes=2, max_nodes=12)
    for machine in machines:
        machine.diligent = False
    (spare,) = world.start(1, min_nodes=2, max_nodes=12, page=2)
    world.run(2.0)
    tally = world.invariants.tally = Counter()
    for machine in others(machines, coordinator(world))[:4]:
        machine.quit("done")
        world.run(1.0)
    expect(not tally[spare.name, Fetch], f"it looks {tally[spare.name, Fetch]} times")
