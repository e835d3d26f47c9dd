"""What a handler makes of an ask, and of one that is late."""

from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from rendezvous_core import (
    DynamicRendezvousHandler,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousInfo,
    RendezvousStoreInfo,
    RendezvousTimeoutError,
)
from rendezvous_core.dynamic import handler as handler_module
from rendezvous_core.dynamic.driver import Driver
from rendezvous_core.ports.calls import NoAnswerError
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from tests.core.handler.doors import AWAY, HEARTBEAT, IN_ROUND, JOIN, JOINED, NOW, Calls, make
from tests.core.handler.lone import OTHER, member, state

pytestmark = pytest.mark.usefixtures("still")


INFO = RendezvousInfo(MemoryStore(MemoryServer()), 1, 4, lambda: RendezvousStoreInfo("", 0))


def test_a_round_is_handed_out(handler: DynamicRendezvousHandler, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, handed = Calls(monkeypatch, handler._driver), Calls(monkeypatch, handler_module)
    handed.instead_of("hand_out", INFO)

    def ask(ask: Any, deadline: float) -> bool:
        ask.settle(JOINED)
        calls.append(("ask", deadline))
        return True

    monkeypatch.setattr(handler._driver, "ask", ask)
    assert handler.next_rendezvous() is INFO
    assert calls == [("ask", NOW + 10)]
    ((_, run_id, store, joined, address, is_over, deadline),) = handed
    assert (run_id, store, joined) == ("run", handler._store, JOINED)
    assert (address, deadline) == ("10.0.0.1", NOW + JOIN)
    assert is_over()
    handler._driver.view = IN_ROUND
    assert not is_over()


def test_rank_0_may_publish_after_a_late_answer(
    handler: DynamicRendezvousHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = Calls(monkeypatch, handler_module)
    handed.instead_of("hand_out", error=AWAY)
    calls = Calls(monkeypatch, handler)
    calls.instead_of("_join", JOINED)
    monkeypatch.setattr(handler, "_deadline", lambda name: {"join": NOW + 1}[name])
    withdrawn = Calls(monkeypatch, handler._driver)
    withdrawn.instead_of("withdraw")
    with pytest.raises(RendezvousConnectionError, match="away"):
        handler.next_rendezvous()
    assert handed[0][-1] == NOW + HEARTBEAT
    ((_, ask, deadline),) = calls
    assert deadline == NOW + 1
    assert withdrawn == [("withdraw", ask)]


def never(ask: Any, deadline: float) -> bool:
    return False


@pytest.mark.parametrize(("join", "told"), [(10.0, False), (10.5, True)])
def test_a_long_wait_is_told_of_once(
    driver: Driver, handler: DynamicRendezvousHandler, calls: Calls, join: float, told: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    ask = SimpleNamespace(answer=JOINED, is_answered=False)
    monkeypatch.setattr(driver, "ask", never)
    calls.instead_of("wait", True)
    told_of = Calls(monkeypatch, handler)
    told_of.instead_of("_tell_waiting")
    told_of.instead_of("_late", RendezvousTimeoutError("late"))
    if told:
        assert handler._join(ask, NOW + join) is JOINED  # type: ignore[arg-type]
        assert told_of == [("_tell_waiting", NOW + 10 + HEARTBEAT)]
        ((_, is_answered, deadline),) = calls
        assert (is_answered(), deadline) == (False, NOW + join)
    else:
        with pytest.raises(RendezvousTimeoutError, match="late"):
            handler._join(ask, NOW + join)  # type: ignore[arg-type]
        assert told_of == [("_late", ask, NOW + join + HEARTBEAT)]
        assert not calls


def test_who_left_while_it_waited_is_told_so(
    driver: Driver, handler: DynamicRendezvousHandler, calls: Calls
) -> None:
    calls.instead_of("ask", True)
    with pytest.raises(RendezvousError) as told:
        handler._join(SimpleNamespace(answer=None), NOW + 1)  # type: ignore[arg-type]
    assert str(told.value) == "This node has left the rendezvous while it was waiting in it."
    with pytest.raises(RendezvousConnectionError) as raised:
        handler._join(SimpleNamespace(answer=AWAY), NOW + 1)  # type: ignore[arg-type]
    assert raised.value is AWAY


def test_a_late_ask_is_withdrawn_unless_it_has_won(
    handler: DynamicRendezvousHandler, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = RendezvousTimeoutError("late")
    timed = Calls(monkeypatch, handler)
    timed.instead_of("_timed_out", late)
    calls.instead_of("cancel", False)
    ask = SimpleNamespace(answer=None)
    assert handler._late(ask, 7.0) is late  # type: ignore[arg-type]
    assert (timed, calls) == ([("_timed_out", 7.0)], [("cancel", ask, 7.0)])
    ask.answer = JOINED
    assert handler._late(ask, 7.0) is JOINED  # type: ignore[arg-type]


HERE = "host (10.0.0.1) pid 7"


def listed(handler: DynamicRendezvousHandler, calls: Calls) -> None:
    """Have the backend list one node besides this one, whose record it has not got yet."""
    handler._driver.node.member = member()
    calls.instead_of("members", {OTHER: member(OTHER, at=96.0)})


ASKS = (
    f"1 of at least 2 nodes are there ({HERE} [01234567], heard 0 s ago, {HERE} [fedcba98], heard 4 s ago); "
    "1 more needed"
)


@pytest.mark.parametrize(("place", "at"), [("", ""), ("db:1", " at db:1")])
def test_a_timeout_tells_who_is_there(
    handler: DynamicRendezvousHandler, calls: Calls, place: str, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryBackend, "place", place)
    listed(handler, calls)
    error = handler._timed_out(NOW + 5)
    assert type(error) is RendezvousTimeoutError
    head = f"The rendezvous 'run' did not complete within 40 s on the backend 'memory'{at}"
    assert str(error) == f"{head}: {ASKS}."
    assert calls == [("members", NOW + 5)]
    handler._driver.trouble = AWAY
    error = handler._timed_out(NOW + 5)
    assert type(error) is RendezvousConnectionError
    assert str(error) == f"{head}, which cannot be reached: away"
    assert error.__cause__ is AWAY
    assert len(calls) == 1, "nobody is asked who is not there"


def test_a_timeout_whose_reason_cannot_be_found_is_the_backends(
    handler: DynamicRendezvousHandler, calls: Calls
) -> None:
    calls.instead_of("members", error=AWAY)
    error = handler._timed_out(NOW + 5)
    assert str(error).endswith(", which cannot be reached: away")
    assert error.__cause__ is AWAY


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Calls:
    reported = Calls(monkeypatch, handler_module)
    reported.instead_of("report_waiting")
    return reported


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        (None, ""),
        ({"phase": "joining", "round": 4}, ""),
        ({"phase": "complete", "round": 4}, "; round 4 goes on meanwhile"),
    ],
)
def test_what_a_node_waits_for_is_told(
    handler: DynamicRendezvousHandler, calls: Calls, reported: Calls, fields: Any, more: str
) -> None:
    listed(handler, calls)
    handler._driver.state = None if fields is None else state(**fields)
    handler._tell_waiting(inf)
    text = f"has waited 10 s for the others: {ASKS}{more}"
    assert reported == [("report_waiting", handler._driver.node, "run", text)]
    assert calls == [("members", inf)]


def test_a_group_of_256_is_listed_and_no_larger_one(reported: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    for most, text in ((256, ASKS), (257, "'rdzv status' shows who")):
        handler = make(max_nodes=most)
        listed(handler, Calls(monkeypatch, handler._driver))
        handler._tell_waiting(inf)
        assert reported.pop()[-1] == f"has waited 10 s for the others: {text}"


def test_nothing_is_told_during_an_outage(
    handler: DynamicRendezvousHandler, calls: Calls, reported: Calls
) -> None:
    calls.instead_of("members", error=AWAY)
    handler._tell_waiting(inf)
    listed(handler, calls)
    handler._driver.trouble = AWAY
    handler._tell_waiting(inf)
    assert not reported


def test_who_listens_slowly_is_waited_for_only_for_a_while(
    handler: DynamicRendezvousHandler, calls: Calls, reported: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(handler, calls)
    shielded = Calls(monkeypatch, handler_module)
    shielded.instead_of("shielded", error=NoAnswerError("slow"))
    handler._tell_waiting(NOW + 5)
    ((_, call, deadline),) = shielded
    assert deadline == NOW + 5
    call()
    assert len(reported) == 1
