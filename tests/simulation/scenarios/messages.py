"""Messages that come late, get lost, or come in a crowd."""

from collections import Counter
from functools import partial
from typing import Any

from msgspec.structs import replace

from rendezvous_core.protocol.operations import List, Put
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import State
from tests.simulation.faults import Faults
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
def heartbeat_lands_after_removal(world: World) -> None:
    """A node leaves and its record is removed; then an old heartbeat of it arrives, and another."""
    machines = gather(world, 3, min_nodes=2, max_nodes=4)
    goer = pick(world, others(machines, coordinator(world)))
    old = world.backend.members[goer.name]
    if world.random.random() < 0.5:
        goer.quit("leave")
    else:
        goer.diligent = False
        goer.ask()
        old = replace(goer.node.member, beat=old.beat + 1)
        goer.quit("cancel")
    wait_until(world, lambda: goer.node.finished, 5.0, "it has withdrawn")
    world.run(0.2)
    check_progress(world)
    rounds = {len(machine.returned) for machine in others(machines, goer)}
    for beat in range(3):
        world.backend.apply(Put(replace(old, beat=old.beat + beat, term=state_of(world).term), True), goer)
        world.run(0.5)
    world.run(6.0)
    expect({len(m.returned) for m in others(machines, goer)} == rounds, "nobody is called for a ghost")


@scenario
def given_up_ask_lands_after_its_tickets_were_pruned(world: World) -> None:
    """Once its ticket is forgotten, only the term shows that an ask is old."""
    options: dict[str, Any] = {"min_nodes": 3, "max_nodes": 5}
    world.start(2, **options)
    (goer,) = world.start(1, min_nodes=2, max_nodes=3, names="z")  # only lends its name and its world
    goer.crash()
    wait_until(world, lambda: world.backend.state is not None, 5.0, "a coordinator")
    world.run(1.0)
    member = replace(
        next(iter(world.backend.members.values())),
        node="ghost",
        beat=7,
        ticket=1,
        intent="cancel",
        term=state_of(world).term,
    )
    world.machines["ghost"] = goer
    world.backend.apply(Put(member, True), goer)
    wait_until(world, lambda: "ghost" in state_of(world).spent, 2.0, "its ask is given up")
    world.backend.members.pop("ghost")
    for number in range(100):
        short = replace(member, node=f"short{number}")
        world.backend.members[short.node] = short
        if number % 10 == 9:
            wait_until(world, partial(_is_spent, world, short.node), 2.0, "they are noted")
            for name in [name for name in world.backend.members if name.startswith("short")]:
                del world.backend.members[name]
    wait_until(world, lambda: "ghost" not in state_of(world).spent, 3.0, "old tickets are forgotten")
    expect(len(state_of(world).spent) < 90, "the state does not grow without end")
    world.backend.apply(Put(replace(member, beat=6, intent="join"), True), goer)
    world.run(6.0)
    expect(state_of(world).round_id == "", "the ghost does not count")


@scenario
def late_put_of_a_dead_node(world: World) -> None:
    """An old heartbeat is no sign of life, although the record changes."""
    options: dict[str, Any] = {"min_nodes": 3, "max_nodes": 3}
    world.start(2, **options)
    dead = world.start(1, min_nodes=3, max_nodes=3)[0]
    world.backend.go_down()
    world.run(0.1)
    world.backend.come_up()
    dead.crash()
    member = replace(dead.node.member, beat=5, term="")
    world.run(1.0)
    expect(state_of(world).phase == "joining", "two are not enough")
    world.backend.apply(Put(member, False), dead)
    world.run(6.0)
    world.backend.apply(Put(replace(member, beat=3, term=state_of(world).term), True), dead)
    world.run(6.0)
    expect(state_of(world).round_id == "", "the dead do not count")


@scenario
def late_put_hides_the_newer_ones(world: World) -> None:
    """A coordinator that looks seldom finds only the old record of a node that beats often."""
    options: dict[str, Any] = {"min_nodes": 2, "max_nodes": 2}
    (slow,) = world.start(1, interval=4.0, **options)
    lag(world)
    (fast,) = world.start(1, interval=0.2, **options)
    wait_until(world, lambda: bool(slow.inside and fast.inside), 10.0, "the round")
    late: list[Member] = []
    for _ in range(100):
        late.append(fast.node.member)
        world.run(world.random.uniform(0.1, 0.3))
        if len(late) > 10:
            world.backend.apply(Put(late.pop(0), False), fast)
    expect_undisturbed([slow, fast])


@scenario
def listing_is_answered_slowly(world: World) -> None:
    """The time that an answer takes is no silence of the members."""
    (slow,) = world.start(1, interval=2.0, min_nodes=2, max_nodes=2)
    wait_until(world, lambda: world.backend.state is not None, 5.0, "a coordinator")
    (fast,) = world.start(1, interval=0.25, min_nodes=2, max_nodes=2)
    wait_until(world, lambda: bool(slow.inside and fast.inside), 10.0, "the round")
    for _ in range(20):
        slow.slowness = world.random.choice((0.0, 0.3))
        lag(world)
        fast.pause()
        world.run(0.3)
        fast.resume()
    expect_undisturbed([slow, fast])


@scenario
def members_are_read_from_a_cache(world: World) -> None:
    """Older than the state, but not older than anybody's patience."""
    machines = world.start(3, min_nodes=3, max_nodes=4)
    wait_until(world, lambda: len(world.backend.members) == 3, 5.0, "all asks are there")
    cached = dict(world.backend.members)
    wait_until(world, lambda: all(machine.inside for machine in machines), 10.0, "the round")
    for _ in range(3):
        world.backend.stale_members = cached
        world.run(world.random.uniform(0.5, 1.9))
        world.backend.stale_members = None
        cached = dict(world.backend.members)
        world.run(1.0)
    expect_undisturbed(machines)


@scenario
def content_serves_as_token(world: World) -> None:
    """A backend whose token is the state's content: bytes must not repeat."""
    world.backend.content_tokens = True
    world.faults = Faults(late=0.2, reply_lost=0.1, latency=0.01, lateness=3.0)
    machines = world.start(4, min_nodes=2, max_nodes=4)
    seen: list[State] = []
    for _ in range(20):
        world.run(0.5)
        state = world.backend.state
        if state is not None and (not seen or state != seen[-1]):
            expect(state not in seen, "a state came back")
            seen.append(state)
        pick(world, machines).ask()
    world.heal()
    check_progress(world)


@scenario
def everything_is_in_one_register(world: World) -> None:
    """Eight nodes' heartbeats compete with the coordinator's decisions for one register."""
    world.backend.one_register = True
    machines = gather(world, 8, min_nodes=2)
    world.run(3.0)
    expect_undisturbed(machines)
    pick(world, machines).crash()
    check_progress(world)


@scenario
def wake_ups_are_lost_all_the_time(world: World) -> None:
    world.faults = Faults(wake_up_lost=1.0, latency=0.002)
    machines = gather(world, 4, min_nodes=2)
    pick(world, machines).crash()
    world.start(1, min_nodes=2, max_nodes=4)
    check_progress(world)


@scenario
def asks_are_heard_at_once(world: World) -> None:
    """Nobody waits for the coordinator's next look."""
    world.faults = Faults(latency=0.0005)
    world.start(1, min_nodes=2, max_nodes=2)
    world.run(world.random.uniform(0.5, 2.0))
    world.start(1, min_nodes=2, max_nodes=2)
    wait_until(world, lambda: all(m.inside for m in world.live), 0.05, "the round, well before the next look")


@scenario
def ask_is_lost(world: World) -> None:
    """It is put again soon, and announced again."""
    world.start(1, min_nodes=2, max_nodes=2, interval=4.0)
    world.run(world.random.uniform(0.5, 2.0))
    (unlucky,) = world.start(1, min_nodes=2, max_nodes=2)
    unlucky.broken = Put
    world.run(0.1)
    unlucky.broken = None
    wait_until(world, lambda: all(m.inside for m in world.live), 0.5, "the round, well before the next look")


@scenario
def requests_are_lost(world: World) -> None:
    """A heartbeat that did not arrive is sent again, not left out."""
    machines = gather(world, 3)
    world.faults = Faults(request_lost=0.4)
    world.run(20.0)
    world.heal()
    expect_undisturbed(machines)


@scenario
def many_come_together(world: World) -> None:
    """The coordinator looks at many asks at a time."""
    world.faults = Faults(latency=0.0005)
    (leader,) = world.start(1, min_nodes=60, max_nodes=60)
    world.run(0.5)
    counts = world.invariants.tally = Counter()

    def begin() -> None:
        world.start(1, min_nodes=60, max_nodes=60)

    for _ in range(59):
        world.after(world.random.uniform(0.0, 0.1), begin)
    wait_until(world, lambda: len(world.live) == 60 and all(m.inside for m in world.live), 2.0, "the round")
    expect(counts[leader.name, List] < 20, f"{counts[leader.name, List]} looks")


@scenario
def last_of_many_is_not_kept_waiting(world: World) -> None:
    """Nor for as long as it took all the others to come, as a rest that only grows would be."""
    world.faults = Faults(latency=0.0005)
    options: dict[str, Any] = {"min_nodes": 200, "max_nodes": 200, "interval": 10.0}
    (leader,) = world.start(1, **options)
    leader.slow_listing = 0.2
    world.run(0.5)

    def begin() -> None:
        world.start(1, **options)

    for number in range(199):
        world.after(number / 80, begin)
    wait_until(world, lambda: len(world.live) == 200 and all(m.inside for m in world.live), 3.3, "the round")


@scenario
def records_of_living_members_are_lost(world: World) -> None:
    """Absence is silence, not death."""
    machines = gather(world, 4)
    for _ in range(5):
        world.run(world.random.uniform(1.5, 2.5))
        world.backend.lose_members()
    world.run(4.0)
    expect_undisturbed(machines)


@scenario
def records_are_lost_between_looks_that_are_far_apart(world: World) -> None:
    """What is missing may have been put since the look before, though that was longer ago than patience."""
    options: dict[str, Any] = {"min_nodes": 2, "max_nodes": 2}
    (slow,) = world.start(1, interval=8.0, **options)
    wait_until(world, lambda: world.backend.state is not None, 5.0, "a coordinator")
    (fast,) = world.start(1, interval=0.4, **options)
    wait_until(world, lambda: bool(slow.inside and fast.inside), 10.0, "the round")
    for _ in range(5):
        lag(world, 4.0)
        wait_until(world, lambda: slow.lists, 4.0, "a look")
        world.run(slow.timing.look * world.random.uniform(0.8, 1.0))
        world.backend.lose_members()
        world.run(3.0)
    expect_undisturbed([slow, fast])


@scenario
def participant_dies_with_its_record(world: World) -> None:
    """Its record is missed once; a backend that shows it again and again gives it no more time for that."""
    machines = gather(world, 3)
    for machine in machines:
        machine.diligent = False
    victim = pick(world, others(machines, coordinator(world)))
    victim.crash()
    record = world.backend.members[victim.name]
    for _ in range(30):
        world.backend.members.pop(victim.name, None)
        world.run(0.25)
        world.backend.members[victim.name] = record
        world.run(0.25)
        if victim.name in state_of(world).gone:
            break
    expect(victim.name in state_of(world).gone, "it is found dead")


@scenario
def record_of_a_slow_participant_is_lost_at_a_takeover(world: World) -> None:
    """The new coordinator never saw its record: it is judged by its own patience nevertheless."""
    options: dict[str, Any] = {"min_nodes": 5, "max_nodes": 5}
    world.start(4, interval=0.3, **options)
    lag(world, 0.2)
    (slow,) = world.start(1, interval=4.0, **options)
    wait_until(world, lambda: all(m.inside for m in world.live), 15.0, "the round")
    for machine in world.live:
        machine.diligent = False
    world.run(3.0)
    coordinator(world).crash()
    world.run(0.1)
    for _ in range(15):
        world.backend.members.pop(slow.name, None)
        world.run(0.2)
    expect(slow.crashed or slow.name not in state_of(world).gone, "the slow one is not evicted")


def _is_spent(world: World, node: str) -> bool:
    return node in state_of(world).spent
