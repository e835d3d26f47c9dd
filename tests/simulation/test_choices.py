"""What is decided of one state and one sight of the members."""

from typing import Any

import pytest
from msgspec.structs import replace

from rendezvous_core.plugins.ranks import keep_ranks
from rendezvous_core.protocol.decision import Over, decide
from rendezvous_core.records.changes import drain, reopen, undrain, withdraw
from rendezvous_core.records.invariants import check_state, check_step
from rendezvous_core.records.member import Intent, Member
from rendezvous_core.records.state import Seat, Settings, State
from tests.simulation.test_details import SETTINGS, member, running, sight

FAR = 2**32


def decided(state: State, *members: Member, over: Over | None = None, **seen: Any) -> State:
    """What follows from a sight of ``members``: none is dead and all are fresh, unless ``seen`` says so."""
    made = decide(state, sight(*members, **seen), over or Over(), new_id=lambda: "new", ranks=keep_ranks)
    check_state(made)
    if made != state:
        check_step(state, replace(made, serial=state.serial + 1))
    return made


def joining(*former: str, **fields: Any) -> State:
    """A round that forms after that of these."""
    spent, round_id = dict.fromkeys(former, 1), "round" if former else ""
    return running(
        *former, **{"phase": "joining", "round": 3, "round_id": round_id, "spent": spent, **fields}
    )


def asks(name: str, **fields: Any) -> Member:
    return replace(member(name, ticket=2), **fields)


def roster(state: State) -> list[str]:
    return [seat.node for seat in state.roster]


@pytest.mark.parametrize(
    ("settings", "fresh", "before", "over", "after"),
    [
        (Settings(2, 4), "", (0, None), False, (0, None)),
        (Settings(2, 4), "cd", (0, None), False, (2, None)),
        (Settings(2, 4), "c", (0, None), False, (1, None)),
        (Settings(2, 4, 2), "c", (0, None), False, (0, None)),
        (Settings(2, 2), "cd", (1, None), False, (0, None)),
        (Settings(2, 4, admit_newcomers="next_round"), "cd", (1, None), False, (0, None)),
        (Settings(2, 4, admit_newcomers=2.0), "cd", (0, None), False, (0, "new")),
        (Settings(2, 4, admit_newcomers=2.0), "cd", (0, None), True, (0, "new")),
        (Settings(2, 4, admit_newcomers=2.0), "cd", (0, "knock"), False, (0, "knock")),
        (Settings(2, 4, admit_newcomers=2.0), "cd", (0, "knock"), True, (2, "knock")),
        (Settings(2, 4, 2, admit_newcomers=2.0), "c", (0, "knock"), True, (0, "knock")),
        (Settings(2, 2, admit_newcomers=2.0), "cd", (1, "knock"), True, (0, None)),
    ],
    ids=str,
)
def test_newcomers_call_for_a_round_that_is_larger(
    settings: Settings, fresh: str, before: tuple[int, str], over: bool, after: tuple[int, str]
) -> None:
    """Rules 7, 18 and 19: two are in a round and two others ask, of whom these are proved to live."""
    state = running("a", "b", settings=settings, waiting=before[0], knock=before[1])
    members = [member("a", ticket=1), member("b", ticket=1), asks("c"), asks("d")]
    made = decided(state, *members, over=Over(gathering=over), fresh=("a", "b", *fresh))
    assert (made.waiting, made.knock) == after


def test_newcomers_who_are_gone_call_nobody() -> None:
    """Rule 18: nor those of a round that is full."""
    state = running("a", "b", settings=Settings(2, 4, admit_newcomers=2.0), waiting=1, knock="knock")
    members = [member("a", ticket=1), member("b", ticket=1)]
    left = decided(state, *members)
    assert (left.waiting, left.knock) == (0, None)


def test_a_place_of_one_who_is_done_is_not_free() -> None:
    """Rule 7: its leaving calls nobody in; that of others does."""
    for reason, waiting in (("done", 0), ("left", 1), ("lost", 1)):
        state = running("a", "b", "c", gone={"c": reason}, spent={"c": 1}, waiting=1)
        made = decided(state, member("a", ticket=1), member("b", ticket=1), asks("d"))
        assert made.waiting == waiting


def test_who_is_back_is_noted_when_all_are() -> None:
    """Rule 16: where all are called already; who goes is noted at once."""
    state = running("a", "b", "c", gone={"c": "left"}, spent={"c": 1})
    here = member("b", ticket=1)
    assert decided(state, asks("a"), here).gone == {"c": "left"}
    for intent in ("leave", "done", "cancel"):
        left = decided(state, asks("a", intent=intent), here)
        assert (left.gone, left.spent) == ({"c": "left", "a": "left"}, {"c": 1, "a": 2})
    assert decided(state, asks("a"), here, dead=("b",), over=Over(settling=True)).phase == "joining"
    held = decided(state, asks("a"), here, dead=("b",))
    assert (held.phase, held.gone) == ("complete", {"c": "left", "b": "lost"}), "another may come in a moment"
    assert decided(running("a", "b"), asks("a"), here).gone == {"a": "left"}


def test_who_departs_has_spent_its_ticket() -> None:
    """Rule 9."""
    made = decided(running("a", "b"), member("a", ticket=1), member("b", ticket=1), dead=("b",))
    assert (made.gone, made.spent) == ({"b": "lost"}, {"b": 1})


def test_a_round_that_nobody_is_in_any_more_is_followed_by_the_next() -> None:
    """Rule 7: what called for it is over."""
    state = running(
        "a", "b", "c", gone={"a": "left", "b": "left"}, spent={"a": 1, "b": 4}, waiting=1, knock="x", round=5
    )
    made = decided(state, dead=("c",))
    assert (made.phase, made.round, made.gone, made.waiting, made.knock) == ("joining", 6, {}, 0, None)
    assert made.spent == {"a": 1, "b": 4, "c": 1}


def test_last_call_is_called_off_where_too_few_ask() -> None:
    """Rule 6."""
    state = joining("a", "b", last_call="call")
    assert decided(state, asks("a")).last_call is None
    assert decided(state, asks("a"), asks("b"), fresh=("a",)) == state, "after a takeover it goes on"


@pytest.mark.parametrize(
    ("state", "ask", "joins"),
    [
        (joining("x"), asks("b"), True),
        (joining("x"), asks("b", intent="leave"), False),
        (joining("x"), asks("b", holds="round"), False),
        (joining("x", spent={"x": 1, "b": 2}), asks("b"), False),
        (joining("x", spent={"x": 1, "b": 1}), asks("b"), True),
        (joining("x", draining={"b": 5.0}), asks("b"), False),
    ],
)
def test_who_asks_is_who_wants_and_may(state: State, ask: Member, joins: bool) -> None:
    """Rule 6: neither who holds a place already, nor who gave its ask up, nor who is to go."""
    made = decided(state, asks("a"), ask)
    assert (made.last_call == "new") is joins


def test_a_round_is_complete_when_nobody_else_is_waited_for() -> None:
    """Rules 6 and 17."""
    a, b, c = asks("a"), asks("b"), asks("c")
    wide, settled, called = Settings(2, 4), Over(settling=True), Over(last_call=True)
    again = joining("a", "b", settings=wide)
    assert roster(decided(joining("a", "b"), a, b, c)) == ["a", "b", "c"], "as many as can be"
    assert decided(again, a, b) == replace(again, last_call="new")
    assert decided(again, a, b, over=settled).phase == "complete"
    assert decided(again, a, b, c, over=settled, fresh=("a", "b")).phase == "joining", (
        "somebody may yet be proved"
    )
    first = joining(settings=wide)
    assert decided(first, a, b, over=settled).phase == "joining", "in a first round everybody may still come"
    waits = joining("a", "b", settings=Settings(2, 4, last_call="wait"))
    assert decided(waits, a, b, over=settled).phase == "joining"
    assert decided(waits, a, b, over=called).phase == "joining", "of another last call"
    assert decided(replace(waits, last_call="call"), a, b) == replace(waits, last_call="call")
    formed = decided(replace(waits, last_call="call"), a, b, over=called)
    assert (formed.phase, formed.round_id, formed.last_call) == ("complete", "new", None)


def test_those_of_the_last_round_go_first_then_those_who_asked_first() -> None:
    """Rule 6: and they bring what they say of themselves."""
    members = [asks("c", asked=1), asks("d", asked=0), asks("b", asked=9, ticket=7, dead_after=5.0)]
    made = decided(joining("a", "b", settings=Settings(2, 2)), *members)
    assert made.roster == (Seat("b", 7, 5.0), Seat("d", 2, 3.0))
    alike = [asks("e", address="node10"), asks("f", address="node2"), asks("g", address="node3", rank_hint=0)]
    assert sorted(roster(decided(joining(settings=Settings(2, 2)), *alike))) == ["f", "g"]
    assert len(decided(joining(settings=Settings(2, 3, 2)), *members, over=Over(True)).roster) == 2


@pytest.mark.parametrize(
    ("seen", "round"), [(2, 3), (3, 4), (7, 8), (3 + FAR - 1, 3 + FAR), (3 + FAR, 3), (-1, 3)]
)
def test_a_round_that_somebody_saw_completed_is_not_formed_again(seen: int, round: int) -> None:
    """Rule 11: who lives knows the state that was lost; a record that knows of far too many is damaged."""
    state, members = joining("a"), [asks("a"), asks("b"), asks("c"), member("d", seen=seen, intent="leave")]
    made = decided(replace(state, spent={"a": 1, "d": 0}), *members, dead=("d",))
    assert (made.phase, made.round) == ("complete", round)
    assert (decided(state, *members).phase == "complete") is (round == 3)


@pytest.mark.parametrize(("intent", "reason"), [("leave", "left"), ("done", "done"), ("cancel", None)])
def test_who_goes_is_gone_at_once(intent: Intent, reason: str | None) -> None:
    """Rule 9: but for one that had won when it withdrew its ask."""
    left = withdraw(running("a", "b"), "b", 1, intent)
    assert left.gone == ({"b": reason} if reason else {})
    assert left.spent == ({"b": 1} if reason else {})
    unasked = withdraw(running("a", "b"), "c", 5, intent)
    assert (unasked.gone, unasked.spent) == ({}, {"c": 5})
    assert withdraw(unasked, "c", 4, intent) is unasked
    closed = running("a", "b", phase="closed")
    assert withdraw(closed, "b", 1, intent) is closed


def test_run_is_closed_when_all_are_done() -> None:
    """Rule 12: not when somebody left."""
    last = running("a", "b", gone={"a": "done"}, spent={"a": 1}, settings=SETTINGS)
    assert withdraw(last, "b", 1, "done").phase == "closed"
    assert withdraw(last, "b", 1, "leave").phase == "complete"
    assert withdraw(replace(last, gone={"a": "left"}), "b", 1, "done").phase == "complete"
    assert withdraw(running("a", "b"), "a", 1, "done").phase == "complete"


def test_drains_are_noted_and_forgotten() -> None:
    """Rule 23: each by itself; of those who are neither in the round nor listed, nothing is left."""
    state = drain(running("a", "b", draining={"x": 1.0, "b": 2.0}), {"b": 5.0, "c": 6.0})
    assert state.draining == {"x": 1.0, "b": 5.0, "c": 6.0}
    assert undrain(state, {"b", "z"}).draining == {"x": 1.0, "c": 6.0}
    assert undrain(state, {"z"}) is state
    assert decided(state, member("a", ticket=1), asks("c")).draining == {"b": 5.0, "c": 6.0}
    closed = running("a", "b", phase="closed")
    assert drain(closed, {"b": 5.0}) is closed


def test_a_run_that_is_reopened_begins_with_nobody() -> None:
    """Rule 21."""
    state = running(
        "a", "b", phase="closed", round=4, gone={"a": "done"}, spent={"a": 1}, reopened=2, began=7.0
    )
    again = reopen(state)
    assert (again.reopened, again.phase, again.round, again.gone) == (3, "joining", 5, {})
    assert (again.spent, again.coordinator, again.began) == ({"a": 1, "b": 1}, None, 0.0)
    assert reopen(State(run="run", settings=SETTINGS, phase="closed", round=4)).round == 4


def test_closed_is_closed() -> None:
    """Rule 12: nobody is counted, evicted or admitted any more."""
    closed = running("a", "b", phase="closed")
    assert decided(closed, asks("a"), asks("c"), dead=("b",)) is closed
