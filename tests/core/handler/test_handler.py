"""What a handler makes of what its driver shows and answers."""

import logging
from collections.abc import Callable
from datetime import timedelta
from math import inf

import pytest

from rendezvous_core import (
    DynamicRendezvousHandler,
    Notice,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousStateError,
)
from rendezvous_core.dynamic.driver import Driver
from rendezvous_core.dynamic.wishes import View
from rendezvous_core.protocol.node import Joined
from tests.core.handler.doors import AWAY, CLOSE, HEARTBEAT, IN_ROUND, JOINED, NOW, Calls, make
from tests.core.handler.lone import OTHER, state

pytestmark = pytest.mark.usefixtures("still")


def test_the_present_round_is_what_the_thread_has_shown(
    handler: DynamicRendezvousHandler, driver: Driver
) -> None:
    assert (handler.joined, handler.num_nodes_waiting()) == (None, 0)
    assert repr(handler) == "<DynamicRendezvousHandler of the run 'run' on 'memory': in no round>"
    driver.view = IN_ROUND._replace(nodes_waiting=3)
    assert (handler.joined, handler.num_nodes_waiting()) == (JOINED, 3)
    assert repr(handler) == (
        "<DynamicRendezvousHandler of the run 'run' on 'memory': rank 1 of 4 in round 2>"
    )
    assert (handler.node_id, handler.address) == (driver.node.member.node, "10.0.0.1")
    assert (handler.get_run_id(), handler.get_backend()) == ("run", "memory")


def test_whether_it_is_closed_is_asked_of_the_backend_by_who_has_no_part(
    handler: DynamicRendezvousHandler, driver: Driver, calls: Calls
) -> None:
    for found, closed in ((None, False), (state(), False), (state(phase="closed"), True)):
        calls.instead_of("read_state", found)
        assert handler.is_closed() is closed
    assert set(calls) == {("read_state", NOW + CLOSE)}
    calls.clear()
    for closed in (False, True):
        driver.view = IN_ROUND._replace(is_closed=closed)
        assert handler.is_closed() is closed
    assert not calls


MEMBERSHIP: list[tuple[View, bool]] = [
    (IN_ROUND, False),
    (IN_ROUND._replace(nodes_waiting=1), True),
    (IN_ROUND._replace(nodes_waiting=1, intent="leave"), False),
    (IN_ROUND._replace(nodes_waiting=1, finished=True), False),
    (IN_ROUND._replace(nodes_waiting=1, joined=Joined(3, "fourth", 1, 4)), False),
    (IN_ROUND._replace(outcome=AWAY, joined=None), False),
]


@pytest.mark.parametrize(("then", "expected"), MEMBERSHIP)
def test_a_change_of_the_membership_is_waited_for(
    handler: DynamicRendezvousHandler, then: View, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = handler._driver
    waits: list[tuple[bool, float]] = []

    def wait(condition: Callable[[], bool], deadline: float) -> bool:
        before = condition()
        driver.view = then
        waits.append((before, deadline))
        assert condition() is (then is not IN_ROUND)
        return condition()

    monkeypatch.setattr(driver, "wait", wait)
    for timeout, deadline in ((None, inf), (2.5, NOW + 2.5), (timedelta(seconds=3), NOW + 3)):
        driver.view = IN_ROUND
        assert handler.wait_for_membership_change(timeout) is expected  # type: ignore[arg-type]
        assert waits.pop() == (False, deadline)


def test_who_watches_is_told_that_the_thread_has_failed(
    handler: DynamicRendezvousHandler, driver: Driver, calls: Calls
) -> None:
    calls.instead_of("wait", True)
    driver.view = IN_ROUND._replace(outcome=AWAY, finished=True)
    with pytest.raises(RendezvousConnectionError, match="away"):
        handler.wait_for_membership_change()


def test_a_notice_tells_who_goes_and_when(handler: DynamicRendezvousHandler, driver: Driver) -> None:
    assert handler.notice() is None
    leaving = {3: NOW + 9, 1: NOW + 5}
    driver.view = IN_ROUND._replace(leaving=leaving)
    assert handler.notice() == Notice((1, 3), 5.0, mine=True)
    driver.view = IN_ROUND._replace(leaving={3: NOW - 1})
    assert handler.notice() == Notice((3,), 0.0, mine=False)
    driver.view = IN_ROUND._replace(leaving=leaving, joined=None)
    assert handler.notice() is None


def test_a_notice_is_waited_for(
    handler: DynamicRendezvousHandler, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[list[bool]] = []
    deadlines: list[float] = []
    drained = IN_ROUND._replace(leaving={3: NOW + 9, 1: NOW + 5})

    def wait(condition: Callable[[], bool], deadline: float) -> bool:
        seen = []
        for view in (IN_ROUND, drained, drained._replace(finished=True)):
            driver.view = view
            seen.append(condition())
        looks.append(seen)
        deadlines.append(deadline)
        driver.view = last
        return True

    monkeypatch.setattr(driver, "wait", wait)
    notice, last = Notice((1, 3), 5.0, mine=True), drained
    driver.view = IN_ROUND
    assert handler.wait_for_notice(2.5) == notice
    driver.view = IN_ROUND
    assert handler.wait_for_notice(than=notice) == notice
    last = drained._replace(finished=True)
    driver.view = IN_ROUND
    assert handler.wait_for_notice() is None
    assert looks == [[False, True, True], [True, False, True], [False, True, True]]
    assert deadlines == [NOW + 2.5, inf, inf]


def test_leaving_and_closing_take_their_time(handler: DynamicRendezvousHandler, calls: Calls) -> None:
    calls.instead_of("quit", True)
    calls.instead_of("close_run")
    assert handler.leave()
    assert handler.leave(done=True)
    handler.set_closed()
    until = NOW + CLOSE
    assert calls == [("quit", "leave", until), ("quit", "done", until), ("close_run", until)]


def test_draining_tells_the_others(
    handler: DynamicRendezvousHandler, driver: Driver, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    calls.instead_of("drain")
    assert handler.drain(7)
    assert calls == [], "it has no part in the run"
    assert handler.drain(7, [OTHER, "third"])
    driver.view = IN_ROUND
    assert handler.drain(7)
    until = NOW + CLOSE
    mine = {driver.node.member.node: NOW + 7}
    assert calls == [("drain", {OTHER: NOW + 7, "third": NOW + 7}, until), ("drain", mine, until)]
    calls.instead_of("drain", error=AWAY)
    assert not handler.drain(7, [OTHER, "third"])
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING] == [
        f"The others could not be told that {OTHER}, third will go: away"
    ]
    with pytest.raises(ValueError, match=r"The deadline .* from 0\.001 to 86400"):
        handler.drain(86401)


def test_shutting_down_closes_and_ends_once(handler: DynamicRendezvousHandler, calls: Calls) -> None:
    calls.instead_of("close_run")
    calls.instead_of("stop")
    assert handler.shutdown() is True
    assert handler.shutdown() is True
    until = NOW + CLOSE
    assert calls == [("close_run", until), ("stop", until, ("close_backend", True))]
    assert handler.is_closed()


@pytest.mark.parametrize("known", [False, True])
def test_shutting_down_in_an_outage_tells_what_is_known(
    handler: DynamicRendezvousHandler, driver: Driver, calls: Calls, known: bool
) -> None:
    calls.instead_of("close_run", error=RendezvousStateError())
    calls.instead_of("stop")
    driver.view = IN_ROUND._replace(is_closed=known)
    assert handler.shutdown() is known
    assert handler.shutdown() is known
    assert [name for name, *_ in calls] == ["close_run", "stop"]


def test_a_block_that_ends_lets_go_of_the_backend(handler: DynamicRendezvousHandler, calls: Calls) -> None:
    calls.instead_of("quit", True)
    calls.instead_of("stop")
    calls.instead_of("close_run")
    with handler:
        pass
    stop = ("stop", NOW + HEARTBEAT, ("close_backend", True))
    assert calls == [("quit", "done", NOW + CLOSE), stop]
    assert handler.shutdown() is False, "the run goes on"
    assert len(calls) == 2


def test_a_handler_that_was_shut_down_stays_so_at_the_end_of_a_block(
    handler: DynamicRendezvousHandler, calls: Calls
) -> None:
    for name in ("close_run", "stop", "quit"):
        calls.instead_of(name)
    with handler:
        assert handler.shutdown()
    assert handler.shutdown() is True


@pytest.mark.parametrize(("close", "patience"), [(CLOSE, HEARTBEAT), (1.0, 1.0)])
def test_a_call_outlasts_its_limit_by_little(close: float, patience: float) -> None:
    assert make(close)._patience == patience


def test_a_forked_child_is_told_at_every_door(
    handler: DynamicRendezvousHandler, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "_pid", -1)
    doors: list[Callable[[], object]] = [
        *(handler.next_rendezvous, handler.is_closed, handler.set_closed, handler.num_nodes_waiting),
        *(handler.wait_for_membership_change, handler.leave, handler.notice, handler.wait_for_notice),
        *(handler.shutdown, lambda: handler.drain(1), lambda: handler.joined),
    ]
    for call in doors:
        with pytest.raises(RendezvousError, match="forked child"):
            call()
