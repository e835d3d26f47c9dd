"""The thread of a node: what it makes of failures, and how it ends."""

import os
import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

from rendezvous_core import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousStateError,
)
from rendezvous_core.dynamic import thread as thread_module
from rendezvous_core.dynamic.wishes import Ask, Quit, Stop
from rendezvous_core.ports.errors import RendezvousBackendLostError
from rendezvous_core.protocol.operations import Operation, Read, Rest
from tests.core.handler.bench import JOINED, Bench, Clock, errand, raising
from tests.core.handler.groups import PATIENCE


def test_a_forked_child_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Bench(Clock()).driver
    monkeypatch.setattr(driver, "_pid", os.getpid() + 1)
    for call in (driver.check_process, lambda: driver.send(Ask()), lambda: driver.wait(bool, 1e9)):
        with pytest.raises(RendezvousError) as told:
            call()
        assert str(told.value) == (
            "This rendezvous handler belongs to the process that created it; a forked child must create "
            "its own."
        )
    assert driver._inbox.empty()


def test_of_several_threads_one_goes_on() -> None:
    driver = Bench(Clock()).driver
    driver._errands.append(errand(raising()))
    assert driver._alive.acquire(blocking=False)
    assert driver.is_running
    another = threading.Thread(target=driver._run)
    another.start()
    another.join(PATIENCE)
    assert not another.is_alive()
    driver._alive.release()
    assert not driver.is_running


def test_what_may_pass_is_the_nodes_own_business(bench: Bench) -> None:
    bench.hear(Ask())
    failure = RendezvousConnectionError("away")
    assert bench.driver._refused(failure) is failure
    assert (bench.node.outcome, bench.node.finished) == (None, False)


@pytest.mark.parametrize("failure", [RendezvousBackendLostError("ended"), RendezvousStateError("corrupt")])
def test_what_does_not_pass_ends_an_ask_but_not_a_round(bench: Bench, failure: RendezvousError) -> None:
    bench.hear(Ask())
    error = bench.driver._refused(failure)
    assert (type(error), str(error), error.__cause__) == (RendezvousConnectionError, str(failure), failure)
    assert (bench.node.outcome, bench.node.finished) == (failure, True)
    bench.driver._settle()
    bench.in_round()
    bench.driver._refused(failure)
    assert (bench.node.outcome, bench.node.finished, bench.node.trouble) == (JOINED, False, None)


def test_who_leaves_a_backend_that_has_ended_need_not_wait(bench: Bench) -> None:
    bench.in_round()
    bench.hear(Quit("leave"))
    bench.driver._refused(RendezvousStateError("corrupt"))
    assert not bench.node.finished
    error = bench.driver._refused(RendezvousBackendLostError("ended"))
    assert (bench.node.trouble, bench.node.finished) == (error, True)


@pytest.mark.parametrize("failure", [AssertionError("a fault"), RendezvousStateError("corrupt")])
def test_a_thread_that_fails_says_so_to_who_waits(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    driver, ask = Bench(Clock()).driver, Ask()

    def fail() -> Generator[Operation, Any, None]:
        raise failure
        yield Read()

    monkeypatch.setattr(driver.node, "live", fail)
    assert driver.ask(ask, time.monotonic() + PATIENCE)
    if isinstance(failure, RendezvousError):
        assert ask.answer is failure
        assert not caplog.records
    else:
        assert str(ask.answer) == "The rendezvous thread failed: AssertionError: a fault"
        assert type(ask.answer) is RendezvousError
        assert ask.answer.__cause__ is failure
        (record,) = caplog.records
        assert record.getMessage() == f"The rendezvous thread of node {driver.node.member.node} failed."
        assert record.exc_info is not None
        assert record.exc_info[1] is failure
    assert driver.wait(lambda: not driver.is_running, time.monotonic() + PATIENCE)
    assert driver not in thread_module._running


def test_a_node_lives_on_the_answers_to_its_operations(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []
    lives: list[float] = []

    def live() -> Generator[Operation, Any, None]:
        lives.append(bench.node.now)
        bench.node.finished = len(lives) == 2
        bench.clock.now += 1
        heard.append((yield Read()))
        heard.append(bench.node.now)
        bench.backend.error = RendezvousConnectionError("away")
        with pytest.raises(RendezvousConnectionError, match="away"):
            yield Read()
        bench.backend.error = None

    monkeypatch.setattr(bench.node, "live", live)
    ask = Ask()
    bench.driver._inbox.put(ask)
    bench.driver._work()
    assert heard == [None, 101.0, None, 102.0]
    assert lives == [100.0, 101.0]
    assert (ask.is_answered, ask.answer) == (True, None)


def test_who_is_to_end_does_so_in_the_middle_of_its_life(bench: Bench) -> None:
    bench.in_round()
    stop, done = Stop(close_backend=True), errand(raising(result="done"))
    bench.driver._inbox.put(done)
    bench.driver._inbox.put(stop)
    bench.driver._work()
    assert (done.answer, stop.answer, bench.node.finished) == ("done", True, True)
    assert bench.driver.view.finished
    assert bench.closed == [None]


def test_a_thread_lives_until_the_last_errand_is_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    later = errand(raising(RendezvousConnectionError("away"), result="done"), insists=True)
    rests: list[float] = []

    def rest(operation: Rest) -> bool:
        rests.append(operation.seconds)
        bench.clock.now += operation.seconds
        return False

    monkeypatch.setattr(bench.driver, "_await", rest)
    bench.driver._inbox.put(later)
    bench.driver._work()
    assert later.answer == "done"
    assert rests == pytest.approx([0.01])


def test_a_node_is_dropped_and_its_backend_stays(bench: Bench) -> None:
    bench.in_round()
    stop, left = Stop(close_backend=False), errand(raising())
    bench.hear(left, stop)
    bench.driver._end()
    assert (stop.is_answered, stop.answer, left.is_answered) == (True, True, False)
    assert not bench.closed
    assert bench.driver._stops == []
    bench.hear(ask := Ask())
    assert not ask.is_answered


def test_a_backend_is_closed_once_and_nothing_is_done_any_more(bench: Bench) -> None:
    stops = [Stop(close_backend=False), Stop(close_backend=True)]
    left = errand(raising())
    bench.hear(left, *stops)
    bench.driver._end()
    late, ask, again = errand(raising()), Ask(), Stop(close_backend=True)
    bench.hear(late, ask, again)
    assert not again.is_answered
    bench.driver._end()
    assert all(stop.answer is True for stop in [*stops, again])
    for wish in (left, late, ask):
        assert isinstance(wish.answer, RendezvousClosedError)
        assert str(wish.answer) == "This rendezvous handler was shut down."
    assert bench.closed == [None]
    assert bench.driver._errands == []


@pytest.mark.parametrize("trouble", [None, RendezvousConnectionError("away")])
def test_last_words_are_waited_for_unless_there_is_nobody_to_take_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, trouble: RendezvousConnectionError | None
) -> None:
    flushed: list[float] = []
    monkeypatch.setattr(bench.driver._reporter, "flush", flushed.append)
    bench.node.trouble = trouble
    bench.hear(Stop(close_backend=True))
    bench.driver._end()
    assert flushed == ([] if trouble else [0.5])
    bench.hear(Stop(close_backend=True))
    bench.driver._end()
    assert flushed == ([] if trouble else [0.5])
