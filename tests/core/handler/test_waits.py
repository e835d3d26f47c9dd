"""How long a node waits for its backend, and for wishes, and what ends that."""

from collections.abc import Callable
from queue import Empty
from typing import Any

import pytest

from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousStateError,
)
from rendezvous_core.dynamic import thread as thread_module
from rendezvous_core.dynamic.thread import _Waited
from rendezvous_core.dynamic.wishes import Ask, Quit, Wish
from rendezvous_core.ports import waiting
from rendezvous_core.protocol.operations import Rest, Wait
from tests.core.handler.bench import Bench, errand, raising


class Inbox:
    """Gives out what it was given, and notes for how long it was waited for."""

    def __init__(self, *messages: Wish | _Waited) -> None:
        self.messages = list(messages)
        self.waits: list[float] = []

    def get(self, timeout: float) -> Wish | _Waited:
        self.waits.append(timeout)
        if not self.messages:
            raise Empty
        return self.messages.pop(0)


def awaited(bench: Bench, operation: Wait | Rest, *messages: Wish | _Waited) -> tuple[Any, list[float]]:
    """How it ends, and for how long it was waited each time."""
    inbox = Inbox(*messages)
    bench.driver._inbox = inbox  # type: ignore[assignment]
    return bench.driver._await(operation), inbox.waits


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What was begun on other threads, where there are none."""
    begun: list[Callable[[], None]] = []
    monkeypatch.setattr(thread_module, "begin", begun.append)
    return begun


@pytest.mark.usefixtures("begun")
def test_nothing_is_waited_for_longer_than_it_takes(bench: Bench) -> None:
    assert awaited(bench, Rest(2.0)) == (False, [2.0])
    assert awaited(bench, Wait(None, None, 2.0)) == (False, [2.5]), "a backend's wait may be late"
    due = errand(raising())
    due.due = 101.5
    bench.driver._errands.append(due)
    assert awaited(bench, Rest(2.0)) == (False, [1.5])
    bench.clock.now = 102.0
    assert awaited(bench, Rest(2.0)) == (False, [-0.5])


def test_a_wait_ends_with_the_backends(bench: Bench, begun: list[Callable[[], None]]) -> None:
    wait, tokens = Wait("state", "members", 2.0), ("state", "members")
    assert awaited(bench, wait, _Waited(tokens, True)) == (True, [2.5])
    assert awaited(bench, wait, _Waited(tokens, False)) == (False, [2.5])
    with pytest.raises(RendezvousConnectionError, match="away"):
        awaited(bench, wait, _Waited(tokens, RendezvousConnectionError("away")))
    assert len(begun) == 3
    assert bench.driver._waits == []


def test_what_a_former_wait_tells_is_news_only_if_something_changed(
    bench: Bench, begun: list[Callable[[], None]]
) -> None:
    former = [("a", None), ("b", None), ("c", None)]
    bench.driver._waits.extend(former)
    late = [_Waited(former[0], False), _Waited(former[1], RendezvousStateError()), _Waited(former[2], True)]
    assert awaited(bench, Wait("now", None, 2.0), *late) == (True, [2.5] * 3)
    assert bench.driver._waits == [("now", None)]
    assert len(begun) == 1
    assert awaited(bench, Wait("now", None, 2.0)) == (False, [2.5]), "that was the news"
    assert len(begun) == 1, "the wait under way serves again"


def test_news_that_came_during_something_else_ends_the_next_wait(bench: Bench) -> None:
    bench.driver._waits.extend([("a", None), ("b", None), ("c", None)])
    bench.hear(_Waited(("a", None), ("state", "token")), _Waited(("b", None), False))
    bench.hear(_Waited(("c", None), RendezvousStateError()))
    assert awaited(bench, Wait("now", None, 2.0)) == (("state", "token"), [])
    assert not bench.driver._news


@pytest.mark.usefixtures("begun")
def test_a_rest_ends_with_a_wish_and_with_nothing_else(bench: Bench) -> None:
    bench.driver._waits.append(("a", None))
    ask = Ask()
    assert awaited(bench, Rest(2.0), _Waited(("a", None), True), ask, Ask()) == (False, [2.0] * 2)
    assert bench.driver._asked is ask
    assert awaited(bench, Wait("now", None, 2.0)) == (True, []), "the news is not lost"
    assert awaited(bench, Wait("now", None, 2.0), Quit("leave")) == (False, [2.5])


def test_a_few_waits_of_the_backend_are_under_way_at_most(
    bench: Bench, begun: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        awaited(bench, Wait(number, None, 2.0))
    assert len(begun) == 4
    waits: list[Any] = []

    def wait_for_change(*arguments: Any) -> bool:
        waits.append(arguments)
        return True

    monkeypatch.setattr(bench.backend, "wait_for_change", wait_for_change)
    inbox: waiting.Inbox[Wish | _Waited] = waiting.Inbox()
    bench.driver._inbox = inbox
    begun[0]()
    assert waits == [(0, 2.0, None)]
    assert inbox.get(timeout=0) == _Waited((0, None), True)
    bench.backend.error = RendezvousConnectionError("away")
    monkeypatch.undo()
    begun[1]()
    told = inbox.get(timeout=0)
    assert isinstance(told, _Waited)
    assert (told.tokens, told.result) == ((1, None), bench.backend.error)
