"""Stories that broke drafts of the protocol, to be read one by one.

Each is told over many seeds, which vary latencies, names, clocks, and whatever the story draws.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from rendezvous_core import RendezvousClosedError, RendezvousGracefulExitError, RendezvousStateError
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.operations import List, Put, Write
from rendezvous_core.protocol.records import Member, State
from tests.simulation.invariants import Violation, check_progress
from tests.simulation.world import Faults, Machine, World

Story = Callable[[World], None]
SCENARIOS: dict[str, Story] = {}


def scenario(story: Story) -> Story:
    SCENARIOS[story.__name__] = story
    return story


def tell(name: str, seed: int, node_type: type[Node] = Node) -> None:
    """Play one story with one seed. Raises `Violation`, with the log."""
    world = World(seed, node_type=node_type)
    world.faults = Faults(latency=world.random.choice((0.0005, 0.002, 0.01)))
    try:
        SCENARIOS[name](world)
    except Exception as error:
        log = "\n".join(world.log)
        raise Violation(f"Scenario {name}, seed {seed}: {type(error).__name__}: {error}\n{log}") from error


# How stories are told


def expect(condition: bool, text: str) -> None:
    if not condition:
        raise Violation(text)


def wait_until(world: World, condition: Callable[[], bool], seconds: float, text: str) -> None:
    expect(world.run(seconds, condition), f"not within {seconds:.2f} s: {text}")


def gather(world: World, count: int, **options: Any) -> list[Machine]:
    """Have ``count`` nodes complete a round, by default one that is full."""
    machines = world.start(count, **({"min_nodes": count, "max_nodes": count} | options))
    wait_until(world, lambda: all(machine.inside for machine in machines), 30.0, "the first round")
    return machines


def state_of(world: World) -> State:
    state = world.backend.state
    assert state is not None
    return state


def coordinator(world: World) -> Machine:
    name = state_of(world).coordinator
    assert name is not None
    return world.machines[name]


def others(machines: list[Machine], *without: Machine) -> list[Machine]:
    return [machine for machine in machines if machine not in without]


def pick(world: World, machines: list[Machine]) -> Machine:
    return world.random.choice(machines)


def lag(world: World, seconds: float = 1.0) -> None:
    """Let some time pass, at most so much."""
    world.run(world.random.uniform(0.0, seconds))


def expect_undisturbed(machines: list[Machine], rounds: int = 1) -> None:
    for machine in machines:
        expect(len(machine.returned) == rounds, f"{machine.name} returned {len(machine.returned)} times")
        expect(machine.inside is not None and not machine.called, f"{machine.name} was disturbed")


# Deaths, pauses and outages


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
        lambda: state_of(world).beat == world.backend.members[leader.name].beat,
        2.0,
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


# Late, lost and repeated


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
            world.run(0.3)
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
def records_of_living_members_are_lost(world: World) -> None:
    """Absence is silence, not death."""
    machines = gather(world, 4)
    for _ in range(5):
        world.run(world.random.uniform(1.5, 2.5))
        world.backend.lose_members()
    world.run(4.0)
    expect_undisturbed(machines)


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


# The state is lost or rolled back


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


# Asking and giving up


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


# Who is chosen, and when


@scenario
def last_call_goes_on_over_a_takeover(world: World) -> None:
    """It runs from when it was first seen, not from the takeover."""
    machines = world.start(3, min_nodes=2, max_nodes=4, last_call=4.0)
    wait_until(
        world,
        lambda: world.backend.state is not None and state_of(world).last_call is not None,
        2.0,
        "last call",
    )
    world.run(world.random.uniform(0.3, 0.6))
    leader = coordinator(world)
    leader.pause()
    rest = others(machines, leader)
    wait_until(world, lambda: all(m.inside for m in rest), 6.0, "the round, soon after the takeover")


@scenario
def members_flap_around_min(world: World) -> None:
    """Each time that enough are there the last call is as long as ever; too few never make a round."""
    world.start(2, min_nodes=3, max_nodes=5, last_call=2.0)
    (flapper,) = world.start(1, min_nodes=3, max_nodes=5, last_call=2.0)
    for _ in range(3):
        world.run(world.random.uniform(0.5, 1.8))
        flapper.quit("cancel")
        wait_until(world, lambda: flapper.node.finished, 2.0, "it has withdrawn")
        lag(world, 2.5)
        flapper.ask()
    asked = world.now
    wait_until(world, lambda: bool(flapper.inside), 4.0, "the round")
    expect(world.now - asked > 1.95, f"last call was only {world.now - asked:.2f} s")


@scenario
def newcomers_use_the_last_call(world: World) -> None:
    first = world.start(2, min_nodes=2, max_nodes=4, last_call=2.0)
    world.run(world.random.uniform(0.5, 1.8))
    late = world.start(1, min_nodes=2, max_nodes=4, last_call=2.0)
    wait_until(world, lambda: all(m.inside for m in first + late), 3.0, "all are in")
    expect({m.returned[0].round for m in first + late} == {0}, "in one round")


@scenario
def spares_wait_in_line(world: World) -> None:
    """The oldest ask goes first, whatever the nodes are called, and before somebody just come."""
    machines = gather(world, 2)
    spares = []
    for name in "zyx":
        spares += world.start(1, min_nodes=2, max_nodes=2, names=name)
        world.run(world.random.uniform(1.1, 2.0))
    expect(not any(m.inside for m in spares), "spares wait")
    for oldest in tuple(spares):
        # A new coordinator would admit whoever proves itself alive first.
        goer = next(m for m in machines if m.inside and m is not coordinator(world))
        goer.quit("leave")
        newest = world.start(1, min_nodes=2, max_nodes=2, names="a")
        check_progress(world)
        expect(oldest.inside is not None, f"{oldest.name} is next")
        machines, spares = [*machines, oldest], [*others(spares, oldest), *newest]


@scenario
def participants_go_before_spares(world: World) -> None:
    """A participant that failed and asks again keeps its seat, although the spare asked before."""
    machines = gather(world, 3)
    world.start(2, min_nodes=3, max_nodes=3)
    world.run(2.0)
    pick(world, machines).ask()
    check_progress(world)
    expect(all(m.inside for m in machines), "all participants are in again")


# Settings and timings


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
