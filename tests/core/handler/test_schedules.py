"""Two and three threads on one handler, and the ways in which one overtakes another once."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from rendezvous_core import (
    DynamicRendezvousHandler,
    RendezvousClosedError,
    RendezvousError,
    RendezvousGracefulExitError,
    RendezvousInfo,
)
from rendezvous_core.testing.suites.base import EFFORT
from rendezvous_core.testing.suites.threads import start
from tests.core.handler.groups import PATIENCE, Group, group
from tests.interruption.scheduler import Choose, Scheduler

Call = Callable[[DynamicRendezvousHandler], object]

CALLS: dict[str, Call] = {
    "ask": lambda handler: handler.next_rendezvous(),
    "leave": lambda handler: handler.leave(),
    "done": lambda handler: handler.leave(done=True),
    "shutdown": lambda handler: handler.shutdown(),
    "close": lambda handler: handler.set_closed(),
    "look": lambda handler: handler.is_closed(),
    "watch": lambda handler: handler.wait_for_membership_change(),
    "peek": lambda handler: handler.wait_for_membership_change(0.01),
}
CLOSING = {"done", "shutdown", "close"}

TOGETHER = [
    *("ask leave", "ask ask", "ask shutdown", "ask close", "ask done", "leave close", "leave leave"),
    *("watch leave", "peek ask", "watch shutdown", "shutdown shutdown", "shutdown leave", "look leave"),
    *("ask leave shutdown", "ask ask leave", "ask close leave", "peek ask leave"),
]

RANDOM = round(5 * EFFORT)
"""How many random schedules are played of each."""

STRIDE = 3 if EFFORT == 1 else 1
"""At one of how many lines each is overtaken; thorough tests try each."""


@pytest.fixture
def nodes() -> Iterator[Group]:
    with group() as members:
        yield members


def overtaking(first: int, line: int) -> Choose:
    """``first`` goes on until it has passed ``line`` lines; then the others do as long as they can."""

    def choose(ready: Sequence[int], passed: int) -> int:
        others = [number for number in ready if number != first]
        return first if first in ready and (passed < line or not others) else others[0]

    return choose


def drawn(seed: int) -> Choose:
    """Each line is that of anybody."""
    source = random.Random(seed)
    return lambda ready, passed: source.choice(ready)


@pytest.mark.parametrize("joins", [False, True], ids=["outside", "in a round"])
@pytest.mark.parametrize(
    "together",
    [
        pytest.param(each, marks=[pytest.mark.thorough] if each.count(" ") > 1 else [], id=each)
        for each in TOGETHER
    ],
)
def test_threads_on_one_handler(
    nodes: Group, together: str, joins: bool, record_property: Callable[[str, object], None]
) -> None:
    names = together.split()
    closes = bool(CLOSING & set(names))
    played = 0

    def play(choose: Choose) -> int:
        nonlocal played
        played += 1
        handler = nodes.node(1, 1, run_id=f"run {played}", last_call=0.01)
        if joins:
            nodes.join(handler)
        scheduler = Scheduler([partial(CALLS[name], handler) for name in names], choose)
        outcomes = scheduler.play()
        for outcome in outcomes:
            assert not isinstance(outcome, BaseException) or isinstance(outcome, RendezvousError), outcome
        assert "shutdown" not in names or True in outcomes, outcomes
        check_next_ask(handler, closes)
        handler.shutdown()
        nodes.handlers.remove(handler)
        return scheduler.lines

    for first in range(len(names)):
        line = 0
        while line < play(overtaking(first, line)):
            line += STRIDE
    for seed in range(RANDOM):
        play(drawn(seed))
    record_property("points", ("schedules of threads", together, played))


def check_next_ask(handler: DynamicRendezvousHandler, may_be_closed: bool) -> None:
    """It works, or says why it does not."""
    asking = start(handler.next_rendezvous)
    error = asking.exception(PATIENCE)
    if error is not None:
        assert may_be_closed
        assert isinstance(error, RendezvousClosedError | RendezvousGracefulExitError)
        return
    info = asking.result()
    assert isinstance(info, RendezvousInfo)
    assert (info.rank, info.world_size) == (0, 1)
