"""What user threads wish for, and what they make of the answers."""

from collections.abc import Callable
from typing import Any

import pytest

from rendezvous_core import RendezvousConnectionError, RendezvousStateError
from rendezvous_core.dynamic.driver import Driver
from rendezvous_core.dynamic.wishes import Ask, Errand, Quit, Stop, Wish
from rendezvous_core.protocol.operations import List, Read
from tests.core.handler.bench import Bench
from tests.core.handler.doors import AWAY
from tests.core.handler.lone import OTHER, member, state

UNTIL = 7.0

UNANSWERED: Any = object()


class Sent(list[Any]):
    """What was sent, and until when an answer was waited for; each wish gets the answer given here."""

    answer: Any = UNANSWERED

    def __init__(self, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waits: list[float] = []
        monkeypatch.setattr(driver, "send", self.send)
        monkeypatch.setattr(driver, "wait", self.wait)

    def send(self, wish: Wish) -> None:
        self.append(wish)

    def wait(self, condition: Callable[[], bool], deadline: float) -> bool:
        assert not condition()
        self.waits.append(deadline)
        if self.answer is not UNANSWERED:
            self[-1].settle(self.answer)
        return condition()


@pytest.fixture
def idle(bench: Bench) -> Driver:
    return bench.driver


@pytest.fixture
def sent(idle: Driver, monkeypatch: pytest.MonkeyPatch) -> Sent:
    return Sent(idle, monkeypatch)


def test_an_ask_is_waited_for_and_taken_back(idle: Driver, sent: Sent) -> None:
    ask = Ask()
    assert not idle.ask(ask, UNTIL)
    assert not idle.cancel(ask, 8.0)
    first, cancel = sent
    assert first is ask
    assert (type(cancel), cancel.intent, cancel.ask) == (Quit, "cancel", ask)
    assert sent.waits == [UNTIL, 8.0]
    sent.clear()
    sent.answer = "round"
    assert idle.ask(ask, UNTIL)


def test_an_ask_is_cancelled_when_it_is_answered(idle: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Ask()
    monkeypatch.setattr(idle, "send", lambda _: ask.settle(None))
    assert idle.cancel(ask, 0.0)


def test_who_withdraws_an_ask_does_not_wait(idle: Driver, sent: Sent) -> None:
    ask = Ask()
    idle.withdraw(ask)
    assert ask.is_void
    assert not sent, "nobody has heard of it"
    assert idle._alive.acquire(blocking=False)
    idle.withdraw(ask)
    (leave,) = sent
    assert (leave.intent, leave.ask) == ("leave", ask)
    assert not sent.waits


def test_who_has_no_business_need_not_quit(idle: Driver, sent: Sent) -> None:
    assert idle.quit("leave", UNTIL)
    assert not sent
    idle._inbox.put(Ask())
    assert not idle.quit("done", UNTIL), "nobody confirmed it"
    assert (sent[0].intent, sent[0].ask, sent.waits) == ("done", None, [UNTIL])
    idle._inbox.get()
    assert idle._alive.acquire(blocking=False)
    for answer in (True, False):
        sent.answer = answer
        assert idle.quit("leave", UNTIL) is answer


def test_a_thread_is_ended_if_it_lives_or_the_backend_is_to_be_closed(idle: Driver, sent: Sent) -> None:
    idle.stop(UNTIL)
    assert not sent
    idle.stop(UNTIL, close_backend=True)
    assert idle._alive.acquire(blocking=False)
    idle.stop(UNTIL)
    assert [(type(each), each.close_backend) for each in sent] == [(Stop, True), (Stop, False)]
    assert sent.waits == [UNTIL] * 2


def test_who_is_dropped_leaves(idle: Driver, sent: Sent) -> None:
    idle.abandon()
    leave = idle._inbox.get(timeout=0)
    assert isinstance(leave, Quit)
    assert (leave.intent, leave.ask) == ("leave", None)
    assert not sent, "a garbage collector starts no thread"


def test_what_changes_the_run_insists_and_what_looks_does_not(
    idle: Driver, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    drained: list[Any] = []
    monkeypatch.setattr(idle.node, "drain", drained.append)
    sent.answer = None
    idle.close_run(UNTIL)
    idle.drain({OTHER: 9.0}, UNTIL)
    assert idle.read_state(UNTIL) is None
    sent.answer = (state(round=2), "token")
    assert idle.read_state(UNTIL) == state(round=2)
    sent.answer = ({OTHER: member(OTHER)}, "token")
    assert idle.members(UNTIL) == {OTHER: member(OTHER)}
    close, drain, read, _, members = sent
    assert all(type(each) is Errand and each.deadline == UNTIL for each in sent)
    assert [each.insists for each in sent] == [True, True, False, False, False]
    assert close.steps == idle.node.close
    drain.steps()
    assert drained == [{OTHER: 9.0}]
    for errand, operation in ((read, Read()), (members, List())):
        steps = errand.steps()
        assert next(steps) == operation
        with pytest.raises(StopIteration) as end:
            steps.send("answer")
        assert end.value.value == "answer"


def test_an_errand_that_fails_raises(idle: Driver, sent: Sent) -> None:
    sent.answer = RendezvousStateError("corrupt")
    with pytest.raises(RendezvousStateError) as raised:
        idle.close_run(UNTIL)
    assert raised.value is sent.answer
    assert not sent[0].is_void


def test_an_errand_without_an_answer_is_void(idle: Driver, sent: Sent) -> None:
    idle.trouble = AWAY
    with pytest.raises(RendezvousConnectionError) as raised:
        idle.close_run(UNTIL)
    assert str(raised.value) == "The backend did not answer in time."
    assert raised.value.__cause__ is AWAY
    assert sent[0].is_void


def test_an_errand_is_void_that_a_signal_handler_has_ended(
    idle: Driver, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(idle, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        idle.close_run(UNTIL)
    assert sent[0].is_void
