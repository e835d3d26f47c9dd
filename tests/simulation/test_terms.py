"""A node's time in office, decision by decision."""

from typing import Any

from msgspec.structs import replace

from rendezvous_core.plugins.ranks import keep_ranks
from rendezvous_core.protocol.coordinator import Coordinator
from rendezvous_core.protocol.decision import Over
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Apart, Settings, State
from rendezvous_core.records.terms import Terms
from tests.simulation.test_details import SETTINGS, TERMS, TIMING, member, running

APART = Apart("ledger", 1, 2, 2, 0)


def elected(state: State, silence: float = 0.0) -> tuple[Coordinator, State]:
    """A coordinator of ``state``, which it claimed at 0.0 with the settings of that."""
    ids = iter(f"id{number}" for number in range(100))
    leader = Coordinator("a", Terms("run", state.settings, TIMING, keep_ranks), lambda: next(ids))
    return leader, leader.claim(state, silence, 0.0)


def joins(name: str, **fields: Any) -> Member:
    return member(name, **{"ticket": 1, "term": "id0", **fields})


def test_rest_grows_only_while_many_are_missing() -> None:
    """Rule 16: up to a pass more for each eight of them; the living are not missing."""
    leader, state = elected(State(run="run", settings=Settings(64, 64)))
    others = {name: joins(name) for name in map(str, range(31))}
    leader.decide(state, joins("a"), others, 0.0, 0.0, Over())
    assert [leader.rest(0.01) for _ in range(5)] == [0.01, 0.02, 0.04, 0.05, 0.05]
    assert leader.rest(10.0) == TIMING.look


def test_rest_is_at_most_half_of_what_the_missing_take_to_come() -> None:
    """Rule 16: counted in eighths of them; and never shorter than the pass."""

    def rests(*counts: int) -> list[float]:
        leader, state = elected(State(run="run", settings=Settings(160, 160)))
        taken = []
        for there in counts:
            listed = {name: joins(name) for name in map(str, range(there))}
            leader.decide(state, joins("a"), listed, 0.0, 0.0, Over())
            taken.append(round(leader.rest(0.01), 6))
        return taken

    # 159 are missing, then 119, 79, 7 and 6: 19 eighths, of which 5 come in 0.02, 5 in 0.03, and then all.
    assert rests(0, 40, 80, 152, 153) == [0.01, 0.02, 0.027, 0.01, 0.0175]
    # 2 eighths, of which 1 comes in 0.03.
    assert rests(140, 140, 148) == [0.01, 0.02, 0.015]


def test_who_has_not_looked_yet_knows_nobody() -> None:
    """Also who never coordinates is asked, for people."""
    leader = Coordinator("a", TERMS, lambda: "mine")
    assert (leader.members, leader.dead, leader.forgotten) == ({}, frozenset(), [])
    assert (leader.settled_at, leader.observer.silence("b")) == (0.0, None)


def test_a_claim_brings_its_node_s_settings() -> None:
    """Rule 13: who goes on where others were brings its own."""
    leader = Coordinator("a", TERMS, lambda: "mine")
    claimed = leader.claim(running("b", "c", settings=Settings(1, 1)), 0.0, 0.0)
    assert (claimed.settings, claimed.coordinator, claimed.term, claimed.lease) == (
        SETTINGS,
        "a",
        "mine",
        3.0,
    )


def test_who_takes_over_knows_for_how_long_the_former_one_was_silent() -> None:
    """Rule 10: if its latest heartbeat is that of the state; and nobody is silent to itself."""
    for beat, silence in ((4, 10.0), (5, 0.0)):
        leader, state = elected(running("a", "b", beat=4), 10.0)
        leader.decide(state, joins("a"), {"b": joins("b", beat=beat)}, 0.0, 0.0, Over())
        assert leader.observer.silence("b") == silence
    leader, state = elected(running("a", "b", coordinator="a", beat=4), 10.0)
    leader.decide(state, joins("a", beat=4), {}, 0.0, 0.0, Over())
    assert leader.observer.silence("a") == 0.0


def test_coordinator_is_fresh_to_itself_after_a_pause() -> None:
    """Rule 5: of whom others say nothing, it knows that it lives."""
    leader, state = elected(State(run="run", settings=Settings(1, 1)))
    leader.decide(state, joins("a", intent="leave"), {}, 0.0, 0.0, Over())
    assert leader.decide(state, joins("a", beat=1), {}, 100.0, 100.0, Over()).phase == "complete"


def test_nobody_else_is_waited_for_once_no_ask_came_for_a_moment() -> None:
    """Rule 17: an ask that is withdrawn is no new one."""
    state = running("a", "b", phase="joining", settings=Settings(2, 4), spent={"a": 1, "b": 1})
    leader, state = elected(state)
    others = {name: joins(name, ticket=2) for name in "bc"}
    state = leader.decide(state, joins("a", ticket=2), others, 0.0, 0.0, Over())
    assert (state.phase, leader.settled_at) == ("joining", TIMING.settle)
    del others["c"]
    left = leader.decide(state, joins("a", ticket=2), others, 0.04, 0.04, Over())
    assert (left.phase, leader.settled_at) == ("joining", TIMING.settle)
    formed = leader.decide(left, joins("a", ticket=2), others, TIMING.settle, TIMING.settle, Over())
    assert (formed.phase, [seat.node for seat in formed.roster]) == ("complete", ["a", "b"])


def test_nobody_rests_longer_where_nobody_is_missing() -> None:
    """Rule 16: while enough ask, or a round runs, whose participants may die."""
    for state in (State(run="run", settings=Settings(2, 4)), running("a", "b", settings=Settings(64, 64))):
        leader, claimed = elected(state)
        leader.decide(claimed, joins("a"), {"b": joins("b")}, 0.0, 0.0, Over())
        assert [leader.rest(0.01) for _ in range(3)] == [0.01] * 3


def test_rest_grows_while_many_of_those_called_have_not_asked_again() -> None:
    """Rule 16: up to a pass more for each 64 of them; who has asked again is not missing."""
    names = [str(number) for number in range(200)]
    leader, state = elected(
        running("a", *names, settings=Settings(64, 256), gone={"0": "lost"}, spent={"0": 1})
    )
    listed = {name: joins(name, ticket=1 if int(name) < 130 else 2) for name in names[1:]}
    leader.decide(state, joins("a", ticket=2), listed, 0.0, 0.0, Over())
    # 129 of them: 16 eighths, which are two passes more.
    assert [leader.rest(0.01) for _ in range(4)] == [0.01, 0.02, 0.03, 0.03]


def test_who_goes_appoints_an_heir_and_nobody_else_does() -> None:
    """Rule 10: also one whose ask is spent stays in office."""
    leader, state = elected(running("a", "b", "c"))
    listed = {name: joins(name, beat=3) for name in "bc"}
    left = leader.decide(state, joins("a", intent="leave"), listed, 0.0, 0.0, Over())
    assert (left.coordinator, left.beat, left.gone) == ("b", 3, {"a": "left"})
    leader, state = elected(running("b", "c", spent={"a": 1}))
    assert leader.decide(state, joins("a"), listed, 0.0, 0.0, Over()).coordinator == "a"


def test_spent_tickets_are_forgotten_when_they_are_many() -> None:
    """Rule 14: more than 64, and two for each node that is there."""
    for many, kept in ((66, 66), (67, 0)):
        leader, state = elected(running("a", "b", spent={f"old{number}": 1 for number in range(many)}))
        state = leader.decide(state, joins("a"), {"b": joins("b")}, 0.0, 0.0, Over())
        assert len(state.spent) == kept


def test_nobody_leads_a_run_that_is_closed() -> None:
    """Rule 12."""
    leader, state = elected(running("a", "b"))
    assert leader.leads(state)
    assert not leader.leads(replace(state, phase="closed"))


def test_only_a_page_of_the_present_ledger_is_missed() -> None:
    """Rule 24."""
    leader, state = elected(running("a", "b"))
    listed = {"b": joins("b", misses="ledger")}
    assert not leader.is_missed(state, listed)
    assert leader.is_missed(replace(state, apart=APART), listed)
    assert not leader.is_missed(replace(state, apart=APART), {"b": joins("b", misses="former")})
