"""What becomes of each wish of a user thread."""

from collections.abc import Generator
from typing import Any

import pytest

from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from rendezvous_core.dynamic.wishes import Ask, Quit, Stop, View
from rendezvous_core.ports.errors import RendezvousBackendLostError
from rendezvous_core.protocol.operations import Operation, Read
from rendezvous_core.records.codec import encode_state
from tests.core.handler.bench import JOINED, Bench, errand, raising
from tests.core.handler.lone import state


def test_one_ask_at_a_time(bench: Bench) -> None:
    first, second = Ask(), Ask()
    bench.hear(first, second)
    assert (first.is_answered, bench.driver._asked, bench.node.member.ticket) == (False, first, 2)
    assert second.is_answered
    assert str(second.answer) == "next_rendezvous is already under way."
    assert type(second.answer) is RendezvousError


def test_an_ask_is_answered_by_what_the_node_gets(bench: Bench) -> None:
    ask = Ask()
    bench.hear(ask)
    bench.driver._settle()
    assert not ask.is_answered
    bench.node.outcome = JOINED
    bench.driver._settle()
    assert (ask.is_answered, ask.answer, bench.driver._asked) == (True, JOINED, None)
    again = Ask()
    bench.hear(again)
    bench.node.finished = True
    bench.driver._settle()
    assert (again.is_answered, again.answer) == (True, None)


def test_a_wish_that_nobody_has_any_more_is_passed_over(bench: Bench) -> None:
    wishes = [Ask(), Quit("leave"), Stop(close_backend=True), errand(raising())]
    for wish in wishes:
        wish.is_void = True
    bench.hear(*wishes)
    assert not any(wish.is_answered for wish in wishes)
    assert bench.node.member.ticket == 1
    assert [*bench.driver._stops, *bench.driver._errands, *bench.driver._quits] == []


def test_who_has_no_business_has_left(bench: Bench) -> None:
    quit = Quit("leave")
    bench.hear(quit)
    assert (quit.is_answered, quit.answer) == (True, True)


def test_what_one_ask_led_to_is_withdrawn_for_that_ask_alone(bench: Bench) -> None:
    former, latest = Ask(), Ask()
    bench.hear(former)
    bench.node.outcome = JOINED
    bench.driver._settle()
    bench.hear(latest)
    late = Quit("leave", former)
    bench.hear(late)
    assert (late.is_answered, late.answer, latest.is_answered) == (True, True, False)
    assert bench.node.member.intent == "join"
    right = Quit("leave", latest)
    bench.hear(right)
    assert (right.is_answered, latest.is_answered, latest.answer) == (False, True, None)
    assert (bench.node.member.intent, bench.driver._asked, bench.driver._quits) == ("leave", None, [right])


def test_a_cancelled_ask_goes_on_until_that_is_confirmed(bench: Bench) -> None:
    ask = Ask()
    cancel = Quit("cancel", ask)
    bench.hear(ask, cancel)
    assert (ask.is_answered, cancel.is_answered, bench.driver._quits) == (False, False, [])
    assert bench.node.member.intent == "cancel"


@pytest.mark.parametrize("trouble", [None, RendezvousConnectionError("away")])
def test_leaving_is_confirmed_at_the_end(bench: Bench, trouble: RendezvousConnectionError | None) -> None:
    bench.in_round()
    quit = Quit("done")
    bench.hear(quit)
    bench.driver._settle()
    assert not quit.is_answered
    bench.node.trouble, bench.node.finished = trouble, True
    bench.driver._settle()
    assert (quit.is_answered, quit.answer) == (True, trouble is None)
    assert bench.driver._quits == []


def test_who_asks_again_did_not_leave(bench: Bench) -> None:
    bench.in_round()
    quit = Quit("leave")
    bench.hear(quit, Ask())
    assert (quit.is_answered, quit.answer) == (True, False)
    assert bench.node.member.intent == "join"


def test_who_cannot_tell_that_it_leaves_is_gone_when_all_have_found_it_silent(bench: Bench) -> None:
    bench.in_round()
    bench.clock.now += 50
    quit = Quit("leave")
    bench.hear(quit)
    bench.node.trouble = RendezvousConnectionError("away")
    bench.node.now = bench.clock.now + 3.0
    bench.driver._settle()
    assert not bench.node.finished
    bench.node.now += 0.5
    bench.driver._settle()
    assert bench.node.finished
    assert (quit.is_answered, quit.answer) == (True, False)


def test_who_stays_in_its_round_waits_for_the_backend_without_end(bench: Bench) -> None:
    bench.in_round()
    bench.node.trouble = RendezvousConnectionError("away")
    bench.node.now += 1e6
    bench.driver._settle()
    assert not bench.node.finished


def test_what_the_node_has_become_is_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[None] = []
    monkeypatch.setattr(bench.driver._waiters, "wake", lambda: woken.append(None))
    bench.driver._settle()
    assert bench.driver.view == View()
    assert not woken
    bench.in_round()
    woken.clear()
    bench.node.state = state(phase="closed", round_id="first", waiting=2)
    bench.node.trouble = RendezvousConnectionError("away")
    bench.driver._settle()
    assert bench.driver.view == View(JOINED, JOINED, False, "join", 0, True, {})
    assert len(woken) == 1
    assert (bench.driver.state, bench.driver.trouble) == (bench.node.state, bench.node.trouble)
    bench.node.state = state(phase="complete", round_id="first", waiting=2, roster=())
    bench.driver._settle()
    assert bench.driver.view == View(JOINED, JOINED, False, "join", 2, False, {})
    assert len(woken) == 2


def test_errands_are_done_one_by_one_when_they_are_due(bench: Bench) -> None:
    assert not bench.driver._run_due_errand()
    assert bench.driver._next_errand() == float("inf")
    later, first, second = (errand(raising(result=each)) for each in ("later", "first", "second"))
    later.due = 101.0
    bench.hear(later, first, second)
    assert bench.driver._next_errand() == 0.0
    assert bench.driver._run_due_errand()
    assert [each.answer for each in (later, first, second)] == [None, "first", None]
    second.is_void = True
    assert bench.driver._run_due_errand()
    assert not second.is_answered
    assert bench.driver._next_errand() == 101.0
    assert not bench.driver._run_due_errand()
    bench.clock.now = 101.0
    assert bench.driver._run_due_errand()
    assert later.answer == "later"


def test_an_errand_that_insists_is_tried_again_after_longer_and_longer_pauses(bench: Bench) -> None:
    away = [RendezvousConnectionError("away")] * 9
    it = errand(raising(*away, result="done"), insists=True)
    bench.hear(it)
    pauses = []
    while bench.driver._run_due_errand() and not it.is_answered:
        pauses.append(it.due - bench.clock.now)
        bench.clock.now = it.due
    assert pauses == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])
    assert it.answer == "done"


@pytest.mark.parametrize(
    ("error", "deadline", "insists"),
    [
        (RendezvousConnectionError("away"), 200.0, False),
        (RendezvousConnectionError("away"), 100.01, True),
        (RendezvousBackendLostError("ended"), 200.0, True),
        (RendezvousStateError("corrupt"), 200.0, True),
    ],
)
def test_an_errand_is_given_up(bench: Bench, error: RendezvousError, deadline: float, insists: bool) -> None:
    it = errand(raising(error, result="done"), deadline, insists=insists)
    bench.hear(it)
    assert bench.driver._run_due_errand()
    assert it.answer is error
    assert not bench.driver._errands


def test_an_errand_gets_the_answers_of_the_backend_until_its_deadline(bench: Bench) -> None:
    answers = []

    def steps() -> Generator[Operation, Any, Any]:
        answers.append((yield Read()))
        answers.append((yield Read()))
        bench.clock.now += 1
        answers.append((yield Read()))

    bench.backend.set_state(encode_state(state()))
    it = errand(steps, 100.0)
    bench.hear(it)
    assert bench.driver._run_due_errand()
    assert len(answers) == 2
    assert all(found.settings == state().settings for found, _ in answers)
    assert isinstance(it.answer, RendezvousTimeoutError)
    assert str(it.answer) == "Other nodes changed the rendezvous faster than it could be closed."
