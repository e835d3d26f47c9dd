"""What observers and people are told, word by word."""

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from rendezvous_core import RendezvousClosedError, RendezvousConnectionError
from rendezvous_core.dynamic.history import Happening, Named, Recorder
from rendezvous_core.dynamic.reporting import Reporter, describe_asks, describe_member, report_waiting
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.testing.memory import MemoryServer, MemoryStore
from tests.core.handler.groups import PATIENCE
from tests.core.handler.lone import ME, OTHER, lone, member, seats, state

Told = Callable[[], list[tuple[Any, ...]]]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """The events since the last look: kind, message, and the details beside host and pid."""
    caplog.set_level(logging.INFO, "rendezvous_core")
    common = {"event", "run_id", "node", "round", "message", "at", "host", "pid"}

    def told() -> list[tuple[Any, ...]]:
        found = []
        for record in caplog.records:
            fields = {
                name.removeprefix("rdzv_"): value
                for name, value in vars(record).items()
                if name.startswith("rdzv_")
            }
            assert (fields["run_id"], fields["node"], fields["host"], fields["pid"]) == ("run", ME, "host", 7)
            details = {name: value for name, value in fields.items() if name not in common}
            found.append((fields["event"], fields["round"], fields["message"], details))
        caplog.clear()
        return found

    return told


@pytest.fixture
def report() -> Callable[[Node], None]:
    return Reporter("run", Recorder(MemoryStore(MemoryServer()), "run")).report


def test_the_answer_to_an_ask_is_told_once(report: Callable[[Node], None], told: Told) -> None:
    node = lone()
    report(node)
    assert told() == []
    node.state = state(round=2, round_id="third")
    node.outcome = node.joined = Joined(2, "third", 1, 4)
    for _ in range(2):
        report(node)
    message = "host (10.0.0.1) pid 7 rank 1 [01234567] joined round 2, of 4 nodes"
    assert told() == [("joined", 2, message, {"rank": 1, "world_size": 4})]
    node.outcome = node.joined = None
    report(node)
    assert told() == []
    node.outcome = RendezvousClosedError("It is over.")
    for _ in range(2):
        report(node)
    assert told() == [("refused", 2, "host (10.0.0.1) pid 7 [01234567] was refused: It is over.", {})]


def test_a_new_coordinator_and_the_end_are_told_once(report: Callable[[Node], None], told: Told) -> None:
    node, kinds = lone(), []
    for coordinator, phase in [
        (OTHER, "joining"),
        (ME, "joining"),
        (ME, "complete"),
        (OTHER, "complete"),
        (ME, "closed"),
        (ME, "closed"),
    ]:
        node.state = state(coordinator=coordinator, phase=phase)
        report(node)
        kinds.append([(kind, message.partition("] ")[2]) for kind, _, message, _ in told()])
    coordinates, closed = ("coordinates", "coordinates the run"), ("closed", "sees the run closed")
    assert kinds == [[], [coordinates], [], [], [coordinates, closed], []]


def test_who_finds_itself_in_office_or_the_run_closed_is_told(told: Told) -> None:
    for fields, expected in (({"coordinator": ME}, "coordinates"), ({"phase": "closed"}, "closed")):
        Reporter("run", Recorder(MemoryStore(MemoryServer()), "run")).report(lone(state=state(**fields)))
        assert [kind for kind, *_ in told()] == [expected]


def test_each_participant_that_is_to_go_is_told_once(report: Callable[[Node], None], told: Told) -> None:
    round_id = "first"
    node = lone(
        state=state(phase="complete", round_id=round_id, roster=seats(ME, OTHER, "third")),
        joined=Joined(0, round_id, 0, 3),
        now=4.1234,
        _drains={OTHER: (6.0, 10.0)},
    )
    for _ in range(2):
        report(node)
    me = "host (10.0.0.1) pid 7 rank 0 [01234567]"
    message = f"{me} is told that rank 1 goes within 5.877 s"
    assert told() == [("drains", 0, message, {"rank": 1, "seconds": 5.877})]
    node._drains = {OTHER: (6.0, 10.0), "third": (1.0, 4.0)}
    report(node)
    message = f"{me} is told that rank 2 goes within 0 s"
    assert told() == [("drains", 0, message, {"rank": 2, "seconds": 0.0})]
    node._drains = {}
    report(node)
    node._drains = {OTHER: (6.0, 10.0)}
    report(node)
    assert [details["rank"] for *_, details in told()] == [1], "it is to go again"


def test_an_outage_is_told_at_its_beginning_and_its_end(report: Callable[[Node], None], told: Told) -> None:
    node = lone(trouble=RendezvousConnectionError("The cable is out."))
    for _ in range(2):
        report(node)
    me = "host (10.0.0.1) pid 7 [01234567]"
    message = f"{me} cannot use the backend: The cable is out."
    assert told() == [("disconnected", None, message, {})]
    node.trouble = None
    for _ in range(2):
        report(node)
    assert told() == [("reconnected", None, f"{me} reaches the backend again", {})]


def test_departures_are_told_one_by_one(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(MemoryStore(MemoryServer()), "run")
    reporter = Reporter("run", recorder)
    nodes = Named(OTHER, "far", "10.0.0.2", 8, 3), Named("x")
    happened = [
        Happening(at=1.0, kind="called", round=0, nodes=nodes),
        Happening(at=1.0, kind="departed", round=0, nodes=nodes, reason="lost", took=3.25),
        Happening(at=1.0, kind="departed", round=0, nodes=nodes[1:], reason="again"),
        Happening(at=1.0, kind="departed", round=0, nodes=nodes[1:], reason="done"),
        Happening(at=1.0, kind="departed", round=0, nodes=nodes[1:]),
    ]
    put_down: list[Happening] = []
    monkeypatch.setattr(reporter._chronicle, "note", lambda node: happened)
    monkeypatch.setattr(recorder, "add", put_down.extend)
    reporter.report(lone())
    me = "host (10.0.0.1) pid 7 [01234567] notes that"
    far = {
        "departed": OTHER,
        "departed_host": "far",
        "departed_pid": 8,
        "departed_rank": 3,
        "reason": "lost",
        "silence": 3.25,
    }
    x = {"departed": "x", "departed_host": "", "departed_pid": None, "departed_rank": None}
    assert told() == [
        (
            "departed",
            None,
            f"{me} far (10.0.0.2) pid 8 rank 3 [fedcba98] was lost, silent for 3.2 s",
            far,
        ),
        (
            "departed",
            None,
            f"{me} node [x] was lost, silent for 3.2 s",
            x | {"reason": "lost", "silence": 3.25},
        ),
        ("departed", None, f"{me} node [x] asks again", x | {"reason": "again"}),
        ("departed", None, f"{me} node [x] is done", x | {"reason": "done"}),
        ("departed", None, f"{me} node [x] left", x | {"reason": "left"}),
    ]
    assert put_down == happened


def test_what_happened_is_written_down_before_a_flush_ends() -> None:
    store = MemoryStore(MemoryServer())
    reporter = Reporter("run", Recorder(store, "run"))
    reporter.report(lone(state=state(coordinator=ME, serial=1)))
    reporter.flush(PATIENCE)
    assert b'"kind":"began"' in store.get("rendezvous/run/history")


def test_what_a_node_waits_for_is_told(told: Told) -> None:
    report_waiting(lone(state=state(round=3)), "run", "waits for more")
    assert told() == [("waiting", 3, "host (10.0.0.1) pid 7 [01234567] waits for more", {})]


def test_who_asks_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 100.0)
    here, spent = member(at=100.0), member("spent", at=100.0)
    others = [
        member("silent", at=96.0),
        member("gone", at=100.0, intent="leave"),
        member("in", at=100.0, holds="round"),
        spent,
    ]
    known, who = state(spent={"spent": 1}), "host (10.0.0.1) pid 7"
    assert describe_asks(known, [here, *others], 3) == (
        f"1 of at least 3 nodes are there ({who} [01234567], heard 0 s ago, {who} [silent], heard 4 s ago); "
        "2 more needed"
    )
    assert describe_asks(None, [], 1) == "0 of at least 1 node are there (nobody); 1 more needed"
    assert describe_asks(known, [here, replace(here, node="b")], 1).endswith("; 0 more needed")
    assert describe_asks(known, [spent], 1).startswith("0 of at least 1 node are there (nobody)")
    assert describe_asks(None, [spent], 1).startswith("1 of")


def test_who_was_heard_at_the_limit_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 100.0)
    assert describe_asks(None, [member(at=97.0)], 2).startswith("1 of")
    assert describe_asks(None, [member(at=96.5)], 2).startswith("0 of")


def test_a_member_is_described_by_place_and_age() -> None:
    assert describe_member(member(at=10.0), 14.4) == "host (10.0.0.1) pid 7 [01234567], heard 4 s ago"
    assert describe_member(member(at=10.0), 9.0).endswith("heard 0 s ago"), "its clock is ahead"
