"""What a coordinator puts down of what changed from one state to the next."""

import time
from typing import Any

import pytest
from msgspec.structs import replace

from rendezvous_core import RendezvousConnectionError
from rendezvous_core.dynamic.chronicle import Chronicle
from rendezvous_core.dynamic.history import Happening, Named
from rendezvous_core.protocol.node import Node
from rendezvous_core.records.state import State
from tests.core.handler.lone import ME, OTHER, lone, member, seats, state

Told = list[tuple[str, dict[str, Any]]]


class Story:
    """The states that one node sees, one after the other."""

    def __init__(self, **fields: Any) -> None:
        self.node: Node = lone(**fields)
        self.chronicle = Chronicle()
        self.state: State | None = None
        self.serial = 0
        self.coordinator: Any = self.node.coordinator

    def see(self, **fields: Any) -> Told:
        """The next state, which differs from the one before in these fields; what is put down of it."""
        self.serial += 1
        former = self.state or state(coordinator=ME, term="mine")
        self.node.state = self.state = replace(former, **{"serial": self.serial} | fields)
        return self.look()

    def look(self) -> Told:
        """What is put down now: of each event its kind, and what is not as in any other."""
        events = self.chronicle.note(self.node)
        now = time.time()
        assert all(now - 60 < event.at <= now for event in events)
        assert all(self.state and event.serial == self.state.serial for event in events)
        plain = Happening(at=0.0, kind="began", round=0)
        told: Told = []
        for event in events:
            fields = {name: getattr(event, name) for name in Happening.__struct_fields__}
            differ = {name: value for name, value in fields.items() if value != getattr(plain, name)}
            told.append((event.kind, {k: v for k, v in differ.items() if k not in ("at", "kind", "serial")}))
        return told


def named(rank: int | None = None, node: str = ME) -> Named:
    return Named(node, "host", "10.0.0.1", 7, rank)


def office(**fields: Any) -> dict[str, Any]:
    return {"nodes": (named(),), "number": 1} | fields


def test_the_first_coordinator_begins_the_run() -> None:
    assert Story().see(serial=0) == [("began", office())]
    assert Story().see() == [("began", office())]
    assert Story().see(serial=2) == [("coordinates", office())]


def test_who_takes_over_says_from_whom_and_after_what_silence() -> None:
    story = Story()
    assert story.see(coordinator=OTHER, round=2, roster=seats(OTHER, ME)) == []
    story.node.deposed_after = 3.0004
    taken = {"round": 2, "nodes": (named(1),), "took": 3.0, "former": OTHER}
    assert story.see(coordinator=ME) == [("coordinates", office(**taken))]
    assert story.see() == [], "it goes on"
    assert story.look() == [], "nothing is new"
    assert story.see(coordinator=OTHER, term="its") == []
    story.node.deposed_after = 0.0
    assert story.see(coordinator=ME)[0][1] == office(round=2, nodes=(named(1),), former=OTHER)


def test_a_state_that_was_written_by_somebody_else_is_nobodys_news() -> None:
    story = Story()
    story.see(coordinator=OTHER, term="its")
    assert story.see(phase="closed") == []
    story.see(coordinator=ME, term="mine", phase="joining")
    # It appoints an heir, or has it taken from it.
    assert story.see(coordinator=OTHER, phase="closed") == [("closed", {})]
    story = Story()
    story.see()
    assert story.see(coordinator=OTHER, term="its", phase="closed") == []
    story = Story()
    story.see()
    assert story.see(serial=1, phase="closed") == [], "it has written that before"


def test_a_run_is_restored_and_begun_anew() -> None:
    story = Story()
    story.see()
    story.node.restored = 1
    assert story.see() == [("restored", office())]
    assert story.see() == []
    story.node.restored = 2
    assert story.see(reopened=1) == [("restored", office())]
    assert story.see(reopened=2) == [("reopened", office())]


def test_a_round_is_put_down_with_who_is_new_and_how_long_it_took() -> None:
    story = Story(now=10.0)
    story.coordinator.members = {node: member(node) for node in ("a", "b", "c")}
    story.see()
    story.node.now = 11.0
    assert story.see() == []
    story.node.now = 12.5
    first = {"phase": "complete", "round_id": "first", "roster": seats("a", "b")}
    new = (named(0, "a"), named(1, "b"))
    assert story.see(**first) == [("formed", {"nodes": new, "number": 2, "world_size": 2, "took": 2.5})]
    story.node.now = 20.0
    assert story.see(waiting=1) == [("called", {"number": 1})]
    assert story.see(waiting=2) == [], "it was called already"
    story.node.now = 21.0
    second = {"round": 1, "round_id": "second", "roster": seats("c", "a", "x"), "waiting": 0}
    story.coordinator.members["a"] = member("a", ticket=2)
    (*departed, formed) = story.see(**second)
    assert departed == [
        ("departed", {"nodes": (named(0, "a"),), "number": 1, "reason": "again"}),
        ("departed", {"nodes": (named(1, "b"),), "number": 1, "reason": "left"}),
    ]
    new = (named(0, "c"), Named("x", rank=2))
    world = {"nodes": new, "number": 2, "world_size": 3}
    assert formed == ("formed", {"round": 1, "took": 1.0} | world)
    third = {"round": 2, "round_id": "third", "roster": seats("c", "a", "x", "b")}
    (*_, formed) = story.see(**third)
    assert formed[1] == {"round": 2, "nodes": (named(3, "b"),), "number": 1, "world_size": 4}


def test_a_group_that_gathers_again_or_runs_alone_is_not_called() -> None:
    story = Story()
    story.see(phase="complete", round_id="first", roster=seats("a", "b"))
    assert story.see(waiting=1, gone={"a": "done"}) == [
        ("departed", {"nodes": (Named("a", rank=0),), "number": 1, "reason": "done"})
    ]
    story = Story()
    story.see(round_id="first")
    assert story.see(waiting=1) == [("called", {"number": 1})]


def test_a_disturbance_ends_where_nobody_calls_any_more() -> None:
    story = Story(now=1.0)
    story.see(phase="complete", round_id="first", roster=seats("a", "b"))
    story.node.now = 2.0
    story.see(waiting=1)
    story.node.now = 3.0
    story.see(waiting=0)
    story.node.now = 4.0
    story.see(gone={"a": "left"})
    story.node.now = 6.0
    (*_, formed) = story.see(round_id="second", round=1, gone={}, roster=seats("b"))
    assert formed == ("formed", {"round": 1, "took": 2.0, "world_size": 1})


def test_those_who_are_to_go_are_put_down_once() -> None:
    story = Story()
    story.coordinator.members = {OTHER: member(OTHER)}
    story.see(phase="complete", round_id="first", roster=seats(ME, OTHER, "c"), draining={"c": 9.0})
    drains = story.see(draining={"c": 9.0, OTHER: 2.0, "d": 5.0})
    nodes = (named(1, OTHER), Named("d"))
    assert drains == [("drains", {"nodes": nodes, "number": 2, "took": 5.0})]
    assert story.see() == []


def test_those_who_go_at_once_for_one_reason_are_put_down_together(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story()
    silences = {"a": 2.0, "c": 3.0004, "d": 9.0}
    monkeypatch.setattr(story.coordinator.observer, "silence", silences.get)
    story.coordinator.members = {node: member(node) for node in ("a", "b")}
    story.see(phase="complete", round_id="first", roster=seats("a", "b", "c", "d", "e", "f"))
    assert story.see(gone={"a": "lost", "b": "left", "c": "lost", "e": "lost"}) == [
        ("departed", {"nodes": (named(0, "a"), Named("c", rank=2), Named("e", rank=4)), "number": 3}
        | {"took": 3.0, "reason": "lost"}),
        ("departed", {"nodes": (named(1, "b"),), "number": 1, "reason": "left"}),
    ]  # fmt: skip
    gone = {"a": "lost", "b": "left", "c": "lost", "e": "lost", "d": "done"}
    done = {"nodes": (Named("d", rank=3),), "number": 1, "reason": "done"}
    assert story.see(gone=gone) == [("departed", done)]


def test_why_a_participant_is_not_in_the_next_round() -> None:
    """It asks again, has gone with a later ticket, says why, is dead, or its record is gone."""
    story = Story()
    everybody = ("asks", "went", "done", "left", "dead", "away", "gone")
    story.see(phase="complete", round=4, round_id="first", roster=seats(*everybody), gone={"gone": "lost"})
    story.coordinator.members = {
        "asks": member("asks", ticket=2),
        "went": member("went", ticket=2, intent="done"),
        "done": member("done", intent="done"),
        "left": member("left", intent="leave"),
        "dead": member("dead"),
    }
    story.coordinator.dead = {"dead"}
    told = story.see(phase="joining", gone={"left": "done"})
    reasons = {each["reason"]: [node.node for node in each["nodes"]] for _, each in told}
    assert reasons == {
        "again": ["asks"],
        "left": ["went", "left", "away"],
        "done": ["done"],
        "lost": ["dead"],
    }
    assert {kind for kind, _ in told} == {"departed"}
    assert {each["round"] for _, each in told} == {4}
    (lost,) = [each for _, each in told if each["reason"] == "lost"]
    assert lost["took"] == 0.0, "nobody had an eye on it"
    assert story.see(phase="complete", round=5, round_id="second", roster=seats("a"))[0][0] == "formed"


def test_who_told_why_it_goes_is_believed_but_for_one_who_asks_again() -> None:
    story = Story()
    story.see(phase="complete", round_id="first", roster=seats("a", "b"))
    story.coordinator.members = {"a": member("a", ticket=2), "b": member("b", intent="leave")}
    told = story.see(gone={"a": "left", "b": "done"})
    assert [(each["nodes"][0].node, each["reason"]) for _, each in told] == [("a", "again"), ("b", "done")]


def test_departures_belong_to_the_round_that_ends() -> None:
    story = Story()
    story.see(phase="complete", round=4, round_id="first", roster=seats("a"))
    (departed, formed) = story.see(round=5, round_id="second", roster=seats("b"))
    assert (departed[1]["round"], formed[1]["round"]) == (4, 5)
    (departed,) = story.see(round=6, gone={"b": "left"})
    assert departed[1]["round"] == 6


def test_the_end_is_put_down_once() -> None:
    story = Story()
    story.see(round=1)
    assert story.see(phase="closed") == [("closed", {"round": 1})]
    assert story.see() == []


def test_a_coordinator_that_had_lost_touch_says_for_how_long() -> None:
    story = Story(now=1.0)
    story.see(round=3)
    story.node.trouble = RendezvousConnectionError()
    for now in (2.0, 3.0):
        story.node.now = now
        assert story.look() == []
    story.node.now, story.node.trouble = 4.5, None
    assert story.look() == [("reconnected", office(round=3, took=2.5))]
    assert story.look() == []


def test_a_follower_that_had_lost_touch_says_nothing() -> None:
    story = Story()
    story.see(coordinator=OTHER)
    for trouble in (RendezvousConnectionError(), None):
        story.node.trouble = trouble
        assert story.look() == []
    story = Story()
    for trouble in (RendezvousConnectionError(), None):
        story.node.trouble = trouble
        assert story.look() == []
