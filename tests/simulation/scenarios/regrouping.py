"""Together again: who is waited for, when newcomers count, how many are in, and who stands where."""

from typing import Any

from rendezvous_core.protocol.operations import List
from tests.simulation.faults import Faults
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
    wait_for_heartbeat,
    wait_until,
)
from tests.simulation.world import World


@scenario
def survivors_are_together_again_at_once(world: World) -> None:
    """Nobody else is expected, so nobody waits for last call."""
    machines = gather(world, 3, min_nodes=2, max_nodes=3, last_call=20.0)
    world.faults = Faults(latency=0.0005)
    goer = pick(world, machines)
    if world.random.random() < 0.5:
        goer.quit("leave")
        seconds = 0.5
    else:
        goer.crash()
        seconds = 7.0
    survivors = others(machines, goer)
    wait_until(world, lambda: all(m.asking for m in survivors), seconds, "the survivors ask")
    wait_until(world, lambda: all(m.inside for m in survivors), 0.1, "they are together again at once")


@scenario
def who_is_back_wakes_nobody(world: World) -> None:
    """All are called already, so nobody needs to be told of each one that asks."""
    survivors = _called(world, 9)
    world.faults = Faults(latency=0.0005)
    serial = state_of(world).serial
    for machine in survivors:
        machine.ask()
        world.run(0.1)
    wait_until(world, lambda: all(m.inside for m in survivors), 1.0, "they are together again")
    expect(state_of(world).serial - serial < 6, f"{state_of(world).serial - serial} writes")


@scenario
def survivors_are_told_twice(world: World) -> None:
    """That one is gone, and of the next round: each write of the state wakes everybody."""
    machines = gather(world, 4, min_nodes=2, max_nodes=4, last_call=20.0)
    world.faults = Faults(latency=0.0005)
    wait_for_heartbeat(world)
    serial = state_of(world).serial
    goer = pick(world, others(machines, coordinator(world)))
    survivors = others(machines, goer)
    goer.quit("leave")
    wait_until(world, lambda: all(len(m.returned) == 2 for m in survivors), 0.5, "they are together again")
    expect(state_of(world).serial - serial == 2, f"{state_of(world).serial - serial} writes")


@scenario
def last_one_goes_on_alone_at_once(world: World) -> None:
    """Nobody else wakes a coordinator whose own user asks."""
    machines = gather(world, 2, min_nodes=1, max_nodes=2, last_call=20.0)
    world.faults = Faults(latency=0.0005)
    goer = pick(world, others(machines, coordinator(world)))
    goer.quit("leave")
    wait_until(world, lambda: state_of(world).departed == 1, 0.5, "the other one is gone")
    wait_until(world, lambda: len(coordinator(world).returned) == 2, 0.1, "it goes on")


@scenario
def round_forms_though_asks_keep_coming(world: World) -> None:
    """One that asks again and again, as one that crashes in a loop does, keeps nobody from going on."""
    options: dict[str, Any] = {"min_nodes": 2, "max_nodes": 40, "last_call": 2.0}
    goer, *survivors = gather(world, 4, **options)
    world.faults = Faults(latency=0.0005)
    listing = world.random.choice((0.0, 0.06))
    for machine in survivors:
        machine.slow_listing = listing
    goer.quit("leave")
    wait_until(world, lambda: any(m.asking for m in survivors), 3.0, "the others are called")
    for _ in range(20):
        world.run(0.04)
        if all(len(m.returned) > 1 for m in survivors):
            return
        world.start(1, **options)
    expect(False, "they are together again")


@scenario
def deposed_coordinator_leaves_soon(world: World) -> None:
    """It was about to note its leaving itself, and has told nobody of it in a way that wakes."""
    gather(world, 3, min_nodes=2, max_nodes=3)
    world.faults = Faults(latency=0.0005)
    wait_for_heartbeat(world)
    leader = coordinator(world)
    leader.slowness = 0.02
    world.run(0.15)
    leader.quit("leave")
    world.backend.lose_state(members=False)
    wait_until(world, lambda: leader.node.finished, 0.7, "it is out")


@scenario
def who_is_back_gives_up_while_others_are_called(world: World) -> None:
    """It is out at once, though the others take their time."""
    hasty, *_ = _called(world, 4)
    hasty.ask()
    world.run(world.random.choice((0.0, 0.5)))
    hasty.quit("cancel")
    wait_until(world, lambda: hasty.node.finished, 4.0, "it has withdrawn")


def _called(world: World, count: int) -> list[Machine]:
    """So many nodes that are called to a next round, and do not ask by themselves."""
    goer, *survivors = gather(world, count, min_nodes=2, max_nodes=count, last_call=20.0)
    for machine in survivors:
        machine.diligent = False
    goer.quit("leave")
    wait_until(world, lambda: all(m.called for m in survivors), 5.0, "the others are called")
    return survivors


@scenario
def last_call_goes_on_where_all_are_to_wait(world: World) -> None:
    """Where replacements come within seconds, the group waits for them."""
    options: dict[str, Any] = {
        "min_nodes": 2,
        "max_nodes": 3,
        "last_call": 2.0,
        "agreed": {"last_call": "wait"},
    }
    machines = gather(world, 3, **options)
    goer = pick(world, machines)
    goer.quit("leave")
    wait_until(world, lambda: state_of(world).last_call is not None, 2.0, "last call")
    world.run(world.random.uniform(0.5, 1.5))
    (replacement,) = world.start(1, **options)
    wait_until(world, lambda: bool(replacement.inside), 1.0, "it is in the next round")
    expect((state_of(world).round, len(state_of(world).roster)) == (1, 3), "with the survivors")


@scenario
def run_that_starts_again_waits_for_all(world: World) -> None:
    """Of the round before nobody is there: everybody may still come, as in a first round."""
    options: dict[str, Any] = {"min_nodes": 2, "max_nodes": 4, "last_call": 2.0}
    for machine in gather(world, 3, **options):
        machine.crash()
    first = world.start(2, **options)
    wait_until(world, lambda: state_of(world).last_call is not None, 12.0, "last call")
    world.run(world.random.uniform(0.5, 1.5))
    first += world.start(1, **options)
    wait_until(world, lambda: all(m.inside for m in first), 3.0, "the round")
    expect(len(state_of(world).roster) == 3, "all are in")


@scenario
def those_who_restart_together_are_in_one_round(world: World) -> None:
    """The round waits for a moment after each ask, though nobody is expected."""
    world.faults = Faults(latency=0.0005)
    options: dict[str, Any] = {"min_nodes": 2, "max_nodes": 5, "last_call": 10.0}
    machines = world.start(2, **options)
    wait_until(world, lambda: all(machine.inside for machine in machines), 12.0, "the first round")
    for machine in machines:
        machine.diligent = False
    goer = pick(world, others(machines, coordinator(world)))
    for machine in (coordinator(world), goer):
        machine.ask()
    for _ in range(3):
        world.run(0.03)
        world.start(1, **options)
    wait_until(world, lambda: all(m.inside for m in world.live), 0.5, "the next round")
    expect(len(state_of(world).roster) == 5, "all are in")


@scenario
def asks_not_yet_proved_are_expected(world: World) -> None:
    """A new coordinator waits for those who asked, until they prove themselves alive or are dead."""
    options: dict[str, Any] = {"min_nodes": 2, "max_nodes": 4, "last_call": 20.0}
    machines = world.start(4, **options)
    wait_until(world, lambda: all(machine.inside for machine in machines), 22.0, "the first round")
    leader = coordinator(world)
    rest = others(machines, leader)
    for machine in machines:
        machine.diligent = False
    leader.pause()
    for machine in rest:
        machine.ask()
    wait_until(world, lambda: state_of(world).coordinator != leader.name, 6.0, "a takeover")
    slow = pick(world, others(rest, coordinator(world)))
    slow.slowness = 0.3
    wait_until(world, lambda: len(coordinator(world).returned) == 2, 6.0, "the next round")
    expect({seat.node for seat in state_of(world).roster} == {m.name for m in rest}, "all who asked are in")


@scenario
def newcomers_share_one_restart(world: World) -> None:
    """They gather for a while, and are spares until it is over."""
    world.faults = Faults(latency=0.0005)
    options: dict[str, Any] = {"min_nodes": 2, "max_nodes": 6, "agreed": {"admit_newcomers": 3.0}}
    machines = gather(world, 2, **options)
    lag(world)
    began = world.now
    newcomers = world.start(1, **options)
    for _ in range(2):
        world.run(world.random.uniform(0.3, 1.2))
        newcomers += world.start(1, **options)
    world.run(began + 2.9 - world.now)
    expect_undisturbed(machines)
    wait_until(world, lambda: all(m.inside for m in world.live), 0.2, "they are in at once then")
    expect(all(len(m.returned) == 1 for m in newcomers), "once")
    expect({len(m.returned) for m in machines} == {2}, "one restart for all")


@scenario
def newcomers_wait_goes_on_over_a_takeover(world: World) -> None:
    """It runs from when it was first seen, and is not forgotten while asks are not yet proved."""
    options: dict[str, Any] = {"min_nodes": 2, "max_nodes": 6, "agreed": {"admit_newcomers": 3.0}}
    machines = gather(world, 3, **options)
    (newcomer,) = world.start(1, **options)
    wait_until(world, lambda: state_of(world).knock is not None, 1.0, "it knocks")
    began = world.now
    world.run(world.random.uniform(1.0, 2.5))
    coordinator(world).quit("done")
    wait_until(world, lambda: bool(newcomer.inside), began + 3.9 - world.now, "it is in after its wait")
    expect(world.now - began > 2.9, "not before")
    expect(len(machines) == 3, "its group")


@scenario
def newcomers_wait_for_another_reason(world: World) -> None:
    """They do not call for a round, but they are in the next one that forms."""
    options: dict[str, Any] = {"min_nodes": 2, "max_nodes": 4, "agreed": {"admit_newcomers": "next_round"}}
    machines = gather(world, 3, **options)
    (newcomer,) = world.start(1, **options)
    world.run(world.random.uniform(2.0, 6.0))
    expect_undisturbed(machines)
    pick(world, machines).quit("leave")
    wait_until(world, lambda: bool(newcomer.inside), 4.0, "it is in")


@scenario
def world_size_is_a_multiple(world: World) -> None:
    """Who is left over stands by, and disturbs nobody until more have come."""
    options: dict[str, Any] = {"min_nodes": 3, "max_nodes": 7, "agreed": {"nodes_multiple_of": 2}}
    first = world.start(3, **options)
    world.run(4.0)
    expect(not any(m.returned for m in first), "three are too few for four")
    first += world.start(2, **options)
    wait_until(world, lambda: state_of(world).phase == "complete", 4.0, "the first round")
    expect(len(state_of(world).roster) == 4, "of four")
    world.run(3.0)
    expect_undisturbed([m for m in first if m.inside])
    first += world.start(1, **options)
    wait_until(world, lambda: all(m.inside for m in first), 3.0, "the round of six")
    world.start(1, **options)
    world.run(3.0)
    pick(world, others(first, coordinator(world))).crash()
    check_progress(world)
    expect(len(state_of(world).roster) == 6, "the one who stood by has come in")


@scenario
def dead_newcomer_does_not_make_a_multiple(world: World) -> None:
    """Who is not proved alive to a new coordinator calls nobody."""
    options: dict[str, Any] = {"min_nodes": 2, "max_nodes": 8, "agreed": {"nodes_multiple_of": 2}}
    machines = gather(world, 4, **options)
    (dead,) = world.start(1, **options)
    world.run(0.5)
    leader = coordinator(world)
    leader.broken = List
    dead.crash()
    wait_until(world, lambda: state_of(world).coordinator != leader.name, 6.0, "a takeover")
    world.start(1, **options)
    world.run(6.0)
    expect_undisturbed(machines)


@scenario
def first_ranks_follow_the_launcher(world: World) -> None:
    """Never the order of arrival, nor the random ids."""
    hints = [*range(3), *[None] * 3]
    addresses = [*["node5"] * 3, "node2", "node10", "node20"]
    expected = list(zip(hints, addresses, strict=True))
    asks = list(expected)
    world.random.shuffle(asks)
    for hint, address in asks:
        world.start(1, min_nodes=6, max_nodes=6, rank_hint=hint, address=address)
        lag(world, 0.1)
    wait_until(world, lambda: all(m.inside for m in world.live), 4.0, "the round")
    told = [world.machines[seat.node].node.member for seat in state_of(world).roster]
    expect([(member.rank_hint, member.address) for member in told] == expected, f"the ranks are {told}")
