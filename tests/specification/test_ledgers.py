"""What the code does with the ledger of a large group is a run of its specification (Rule 24)."""

from collections.abc import Callable

import pytest

from tests.simulation.faults import Faults
from tests.simulation.scenarios.telling import coordinator, gather, others, state_of, wait_until
from tests.simulation.world import World
from tests.specification.checker import need_spin
from tests.specification.ledgers import (
    DROP,
    LOOK,
    LOSS,
    PAGES,
    RETURN,
    STATE,
    STORE,
    Event,
    LedgerTrace,
    of_simulation,
    watch,
)
from tests.specification.reader import Reader
from tests.specification.worlds import APART, play_ledger


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    need_spin()
    return Reader(
        tmp_path_factory.mktemp("ledger"), {"NODES": 4, "PAGES": PAGES, "HEIRS": 4}, model="ledger.pml"
    )


def test_simulated_ledgers_are_as_specified(reader: Reader, pytestconfig: pytest.Config) -> None:
    for seed in range(pytestconfig.getoption("schedules", 2_000) // 200):
        reader.check(play_ledger(seed))


@pytest.fixture(scope="module")
def deposed() -> LedgerTrace:
    """A coordinator is deposed before the state that was to name its ledger: it is refused, and drops it."""
    world = World(1, Faults(latency=0.002))
    watch(world)
    machines = gather(world, 4, **APART)
    world.run(1.2)
    for machine in machines:
        machine.diligent = False
    leader, filed = coordinator(world), len(world.backend.filed)
    others(machines, leader)[0].crash()
    wait_until(world, lambda: len(world.backend.filed) > filed, 8.0, "a ledger that no state names yet")
    leader.pause()
    wait_until(world, lambda: leader.name in state_of(world).gone, 12.0, "another one has decided")
    leader.resume()
    world.run(3.0)
    return of_simulation(world.notes, [machine.name for machine in machines])


def test_story_of_a_deposed_coordinator_is_one_too(reader: Reader, deposed: LedgerTrace) -> None:
    *_, (owner, refused) = ((each.who, each.what) for each in deposed.events if each.kind == DROP)
    named = {each.what for each in deposed.events if each.kind == STATE}
    assert refused not in named
    assert {each.who for each in deposed.events if (each.kind, each.what) == (STORE, refused)} == {owner}
    reader.check(deposed)


Change = Callable[[list[Event]], None]


def find(events: list[Event], kind: int, **fields: int) -> int:
    """The first one of its kind that says so."""
    wanted = fields.items()
    return next(
        index
        for index, event in enumerate(events)
        if event.kind == kind and wanted <= event._asdict().items()
    )


def second(events: list[Event]) -> int:
    """Where the second ledger stands."""
    return find(events, STATE, what=sorted({each.what for each in events if each.kind == STATE})[2])


def lacks_a_page(events: list[Event]) -> None:
    del events[find(events, STORE, what=events[second(events)].what, which=1)]


def comes_before_its_pages(events: list[Event]) -> None:
    at = second(events)
    events.insert(at - 1, events.pop(at))


def is_overwritten(events: list[Event]) -> None:
    at = second(events)
    events.insert(at + 1, events[at - 1])


def was_dropped(events: list[Event]) -> None:
    at = find(events, DROP)
    events.insert(at + 1, events[second(events)]._replace(what=events[at].what))


def is_dropped_too_early(events: list[Event]) -> None:
    events.insert(second(events), events.pop(find(events, DROP)))


def is_dropped_by_who_was_refused(events: list[Event]) -> None:
    at = max(index for index, event in enumerate(events) if event.kind == DROP)
    stands = [event.what for event in events[:at] if event.kind == STATE][-1]
    events[at] = events[at]._replace(what=stands)


def stands_though_refused(events: list[Event]) -> None:
    at = max(index for index, event in enumerate(events) if event.kind == DROP)
    *_, state = (event for event in events[:at] if event.kind == STATE)
    events[at] = state._replace(who=events[at].who, what=events[at].what)


def is_found_though_lost(events: list[Event]) -> None:
    events.insert(find(events, LOOK), Event(LOSS))


def is_not_found_though_there(events: list[Event]) -> None:
    at = find(events, LOOK)
    events[at] = events[at]._replace(many=0)


def was_not_looked_into_by_who_returns(events: list[Event]) -> None:
    at = find(events, LOOK)
    assert find(events, RETURN, who=events[at].who) > at
    del events[at]


def was_not_looked_into_by_who_takes_over(events: list[Event]) -> None:
    successor = events[-1 - find(events[::-1], STORE)].who
    del events[find(events, LOOK, who=successor, which=(1 << PAGES) - 1)]


@pytest.mark.parametrize(
    "change",
    [
        lacks_a_page,
        comes_before_its_pages,
        is_overwritten,
        was_dropped,
        is_dropped_too_early,
        is_dropped_by_who_was_refused,
        stands_though_refused,
        is_found_though_lost,
        is_not_found_though_there,
        was_not_looked_into_by_who_returns,
        was_not_looked_into_by_who_takes_over,
    ],
    ids=lambda change: f"a_ledger_{change.__name__}",
)
def test_wrong_ledger_is_refused(reader: Reader, deposed: LedgerTrace, change: Change) -> None:
    events = list(deposed.events)
    change(events)
    assert reader.explained(deposed._replace(events=tuple(events))) < len(events)
