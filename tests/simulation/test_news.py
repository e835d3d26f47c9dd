"""What a wait tells (Rule 15): that there are news, or the state that it has changed to."""

from typing import Any

import pytest
from msgspec.structs import replace

from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.protocol.operations import Operation, Put, Read, Steps, Wait
from rendezvous_core.records.state import Settings, State
from tests.simulation.test_details import SETTINGS, TIMING, node, running, tell

FORMING = State(run="run", settings=SETTINGS, serial=5, coordinator="b", term="theirs", lease=3.0)


def waiting(state: State) -> tuple[Node, Steps]:
    """A node that has seen ``state``, and waits for another one."""
    waiter = node()
    steps = waiter.live()
    tell(steps, {Read: (state, "seen")}, Wait)
    return waiter, steps


def after(steps: Steps, answer: Any) -> Operation:
    """What the node does after its wait."""
    return steps.send(answer)


def test_state_that_comes_with_the_news_need_not_be_read() -> None:
    waiter, steps = waiting(FORMING)
    assert after(steps, (running("a", "b"), "told")) == Wait("told", None, TIMING.period)
    assert waiter.outcome == Joined(0, "round", 0, 2)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(True, id="none comes"),
        pytest.param((FORMING, "late"), id="older"),
        pytest.param((running("a", "b"), "same"), id="the same"),
    ],
)
def test_state_is_read_where_what_comes_is_no_news(told: Any) -> None:
    waiter, steps = waiting(running("a", "b"))
    assert after(steps, told) == Read()
    assert waiter.state == running("a", "b")


def test_state_is_read_where_news_come_late() -> None:
    """Whoever was paused hears what was true before; nobody is dead for that already."""
    for now, then in ((1.24, Wait), (1.25, Read)):
        waiter, steps = waiting(FORMING)
        waiter.now = now
        operation = after(steps, (running("a", "b"), "told"))
        while isinstance(operation, Put):
            operation = steps.send(None)
        assert type(operation) is then


def test_state_is_read_now_and_then_though_there_are_news() -> None:
    """They may come later and later."""
    for now, then in ((2.9, Wait), (3.0, Read)):
        waiter, steps = waiting(FORMING)
        for serial, at in enumerate((0.9, 1.8, 2.7, now), start=6):
            waiter.now = at
            operation = after(steps, (replace(FORMING, serial=serial), serial))
            while isinstance(operation, Put):
                operation = steps.send(None)
        assert type(operation) is then


def test_state_is_read_where_others_have_taken_the_run() -> None:
    """Which of two groups' states is the newer one, nobody can tell."""
    others = replace(running("b", "c"), settings=Settings(2, 5))
    _, steps = waiting(others)
    assert after(steps, (replace(others, serial=9), "told")) == Read()


def test_wait_that_ends_for_another_reason_is_no_reason_to_read() -> None:
    _, steps = waiting(running("a", "b"))
    assert type(after(steps, False)) is Wait


def test_who_is_awake_when_its_beat_is_nearly_due_beats() -> None:
    """Rule 2: it need not wake for that alone."""
    for now, then in ((0.89, Wait), (0.9, Put)):
        waiter, steps = waiting(running("a", "b"))
        waiter.now = now
        assert type(after(steps, False)) is then
