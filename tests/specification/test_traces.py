"""What the code does is a run of the specification: simulated runs, and a real one by its history."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.faults.groups import group
from tests.simulation.faults import Faults
from tests.simulation.test_golden import closing, death, forming, takeover
from tests.simulation.world import World
from tests.specification.checker import need_spin
from tests.specification.reader import Reader
from tests.specification.tracing import (
    DEPART,
    RETURN,
    ROUND,
    STOP,
    Event,
    Trace,
    of_history,
    of_simulation,
)
from tests.specification.worlds import LEAST, MOST, play


def make(folder: Path, nodes: int = 3, most: int = MOST) -> Reader:
    need_spin()
    return Reader(folder, {"NODES": nodes, "MIN": LEAST, "MAX": most})


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return make(tmp_path_factory.mktemp("reader"))


def test_simulated_runs_are_runs_of_the_specification(reader: Reader, pytestconfig: pytest.Config) -> None:
    # The default serves a run that does not name the simulation, and so never heard of its option.
    for seed in range(pytestconfig.getoption("schedules", 2_000) // 200):
        reader.check(play(seed))


@pytest.mark.parametrize("story", [death, takeover], ids=lambda story: story.__name__)
def test_golden_story_is_a_run_of_the_specification(reader: Reader, story: Callable[[World], None]) -> None:
    world = World(1, Faults(latency=0.002))
    story(world)
    reader.check(of_simulation(world.notes, list(world.machines)))


@pytest.mark.thorough
@pytest.mark.parametrize(("story", "nodes", "most"), [(forming, 4, 4), (closing, 3, 2)])
def test_other_golden_story_is_one_too(
    story: Callable[[World], None], nodes: int, most: int, tmp_path: Path
) -> None:
    reader = make(tmp_path, nodes, most)
    world = World(1, Faults(latency=0.002))
    story(world)
    reader.check(of_simulation(world.notes, list(world.machines)))


def test_real_run_is_a_run_of_the_specification(reader: Reader, tmp_path: Path) -> None:
    with group(tmp_path / "run.db", LEAST, MOST) as nodes:
        nodes.start(2)
        nodes.wait_for_round(2)
        nodes.start(1)
        nodes.wait_for_round(3)
        nodes.kill(nodes.follower())
        nodes.wait_for_round(2)
        history = nodes.history()
    trace = of_history(history)
    assert [event.size for event in trace.events if event.kind == ROUND][-3:] == [2, 3, 2]
    reader.check(trace)


def first(trace: Trace, kind: int, after: int = 0) -> int:
    return next(index for index, event in enumerate(trace.events) if index >= after and event.kind == kind)


def without(kind: int) -> Callable[[Trace], list[Event]]:
    def change(trace: Trace) -> list[Event]:
        at = first(trace, kind)
        return [*trace.events[:at], *trace.events[at + 1 :]]

    return change


def with_other(kind: int, **fields: Any) -> Callable[[Trace], list[Event]]:
    def change(trace: Trace) -> list[Event]:
        at = first(trace, kind)
        return [*trace.events[:at], trace.events[at]._replace(**fields), *trace.events[at + 1 :]]

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(without(STOP), id="who was lost had never stopped"),
        pytest.param(without(DEPART), id="a round is over that nobody had left"),
        pytest.param(with_other(DEPART, what=3), id="who was lost counts as done"),
        pytest.param(with_other(RETURN, what=2, size=2), id="a node is told another rank"),
        pytest.param(with_other(ROUND, round=1), id="a round has the number of the next"),
        pytest.param(with_other(ROUND, size=2), id="a round has another size"),
        pytest.param(with_other(ROUND, ranks=[1, 1, 0]), id="two have one rank"),
    ],
)
def test_wrong_trace_is_refused(reader: Reader, change: Callable[[Trace], list[Event]]) -> None:
    world = World(1, Faults(latency=0.002))
    death(world)
    trace = of_simulation(world.notes, list(world.machines))
    events = tuple(change(trace))
    assert reader.explained(trace._replace(events=events)) < len(events)
