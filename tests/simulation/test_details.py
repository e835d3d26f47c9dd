"""Details that random schedules seldom show, each by itself: what a node does, what is decided."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from rendezvous_core import RendezvousStateError
from rendezvous_core.plugins.ranks import keep_ranks
from rendezvous_core.protocol.coordinator import Coordinator
from rendezvous_core.protocol.decision import Over, Sight, appoint_heir, decide
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.protocol.operations import List, Operation, Put, Read, Remove, Steps, Wait, Write
from rendezvous_core.records.changes import close
from rendezvous_core.records.invariants import check_state
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Seat, Settings, State
from rendezvous_core.records.terms import Terms, Timing

SETTINGS = Settings(2, 3)
TIMING = Timing(1.0, 3, 2.0)
TERMS = Terms("run", SETTINGS, TIMING, keep_ranks)


def member(name: str, **fields: Any) -> Member:
    return Member(node=name, address="", pid=1, dead_after=3.0, **fields)


def running(*names: str, **fields: Any) -> State:
    """A round of ``names`` that is complete, under somebody else's term."""
    return State(
        **{
            "run": "run",
            "settings": SETTINGS,
            "serial": 7,
            "phase": "complete",
            "round_id": "round",
            "roster": tuple(Seat(name, 1, 3.0) for name in names),
            "coordinator": "b",
            "term": "theirs",
            "lease": 3.0,
            **fields,
        }
    )


def node(name: str = "a", settings: Settings = SETTINGS, timing: Timing = TIMING, **options: Any) -> Node:
    ids = iter(f"id{number}" for number in range(100))
    made = Node(member(name), Terms("run", settings, timing, keep_ranks, **options), lambda: next(ids))
    made.ask()
    return made


def tell(
    steps: Steps, answers: Mapping[type[Operation], Any], last: type[Operation], first: Any = None
) -> Operation:
    """Answer a node's operations, what it waits for at ``first``, until the ``last``; return that one."""
    operation = steps.send(first)
    for _ in range(100):
        if type(operation) is last:
            return operation
        operation = steps.send(answers.get(type(operation)))
    pytest.fail(f"it does not come to a {last.__name__}")


def sight(*members: Member, dead: tuple[str, ...] = (), fresh: tuple[str, ...] | None = None) -> Sight:
    living = {each.node for each in members} - set(dead)
    return Sight({each.node: each for each in members}, living if fresh is None else set(fresh), set(dead))


def decided(state: State, seen: Sight) -> State:
    return decide(state, seen, Over(), new_id=lambda: "new", ranks=keep_ranks)


def test_every_ask_tells_how_new_a_state_its_node_had_seen() -> None:
    """Rule 6: asks are ordered by it, also later ones."""
    asker = node()
    steps = asker.live()
    tell(steps, {Read: (running("a", "b"), 1)}, Wait)
    assert asker.outcome == Joined(0, "round", 0, 2)
    assert asker.member.asked == 7
    steps.send(True)
    steps.send((running("a", "b", serial=9), 2))
    asker.ask()
    assert (asker.member.ticket, asker.member.asked) == (2, 9)


def test_asks_not_proved_fresh_do_not_count_as_waiting() -> None:
    """Rule 7: after a departure too."""
    state = running("a", "b", gone={"b": "left"}, spent={"b": 1})
    seen = sight(member("a", ticket=1), member("b", ticket=2), member("c", ticket=1), fresh=("a", "b"))
    assert decided(state, seen).waiting == 1


def test_heir_is_alive() -> None:
    """Rule 10: whoever was found dead is passed over, and so is who leaves as well."""
    members = (member("a", intent="leave"), member("b"), member("c", intent="leave"), member("d", beat=5))
    state = appoint_heir(running("a", "b", "c", "d"), sight(*members, dead=("b",)))
    assert (state.coordinator, state.beat) == ("d", 5)
    assert appoint_heir(state, sight(*members, dead=("b", "d"))).coordinator is None


def test_who_asks_again_has_left_though_it_is_silent() -> None:
    """Rule 7: a later ask says more than a silence."""
    seen = sight(member("a", ticket=1), member("b", ticket=2), dead=("b",))
    assert decided(running("a", "b"), seen).gone == {"b": "left"}


def test_spent_tickets_of_participants_are_kept() -> None:
    """Rule 14: also of one whose record is lost."""
    ids = iter(["mine", "anew"])
    leader = Coordinator("a", TERMS, lambda: next(ids))
    many = {f"old{number}": 1 for number in range(100)}
    state = leader.claim(running("a", "b", gone={"b": "left"}, spent={"b": 1, **many}), 0.0, 0.0)
    pruned = leader.decide(state, member("a", ticket=1, term="mine"), {}, 0.0, 0.0, Over())
    assert (pruned.spent, pruned.term) == ({"b": 1}, "anew")
    assert leader.leads(pruned)


def test_closing_keeps_what_a_node_saw_of_a_round_that_was_rolled_back() -> None:
    """Rule 11: the closed state is made of the newer one."""
    closer = node()
    tell(closer.live(), {Read: (running("a", "b"), 1)}, Wait)
    older = State(run="run", settings=SETTINGS, serial=3)
    write = tell(closer.close(), {Read: (older, 2)}, Write)
    assert isinstance(write, Write)
    assert (write.state.phase, write.state.round_id, write.token) == ("closed", "round", 2)


def test_who_closes_a_run_leaves_open_what_others_have_reopened() -> None:
    """Rule 21: also where the state is lost in the midst of that."""
    closer = node()
    steps = closer.live()
    tell(steps, {Read: (running("a", "b"), 1)}, Wait)
    closing = closer.close()
    assert next(closing) == Read()
    steps.send(True)
    steps.send((running("c", "d", reopened=1, serial=9), 2))
    with pytest.raises(StopIteration):
        closing.send(None)


def test_who_finished_a_pass_is_patient_as_others_again() -> None:
    """Rule 10: the mark is taken away."""
    leader = Coordinator("a", TERMS, lambda: "mine")
    mine = leader.claim(running("a", "b"), 0.0, 0.0)
    leader.see(mine, replace(mine, coordinator="b", term="theirs"))
    assert leader.failed
    leader.see(None, leader.claim(mine, 0.0, 0.0))
    leader.note_pass()
    assert not leader.failed
    again = leader.claim(mine, 0.0, 0.0)
    leader.note_pass()
    leader.see(again, replace(again, coordinator="b", term="theirs"))
    assert not leader.failed


def test_node_of_other_settings_may_go_at_once() -> None:
    """Rule 13: it is in nobody's table, so nobody need spend its ticket."""
    stranger = node(settings=Settings(1, 1))
    steps = stranger.live()
    tell(steps, {Read: (running("b", "c"), 1)}, Wait)
    stranger.quit("leave")
    assert stranger.finished


def test_state_of_another_run_is_refused() -> None:
    with pytest.raises(RendezvousStateError, match="belongs to the run 'other'"):
        tell(node().live(), {Read: (running("b", "c", run="other"), 1)}, Put)


def test_record_is_removed_when_its_node_is_out() -> None:
    """Rule 9."""
    goer = node()
    steps = goer.live()
    tell(steps, {Read: (running("b", "c"), 1), List: ({}, 1)}, Wait)
    goer.quit("leave")
    steps.send(True)
    left = running("b", "c", serial=8, spent={"a": 1})
    assert steps.send((left, 2)) == Remove("a")
    with pytest.raises(StopIteration):
        steps.send(None)


def test_an_outage_of_the_coordinator_counts_as_no_more_than_two_looks() -> None:
    """Rule 4."""
    leader = Coordinator("a", TERMS, lambda: "mine")
    state = leader.claim(running("a", "b"), 0.0, 0.0)
    me, other = member("a", ticket=1), replace(member("b", ticket=1), dead_after=6 * TIMING.look)
    for look in range(4):
        assert "b" not in leader.dead, f"after {look} looks"
        leader.decide(state, me, {"b": other}, 100.0 * look, 100.0 * look, Over())
    assert "b" in leader.dead


def test_drains_are_told_only_where_there_is_a_run() -> None:
    """Rule 23."""
    steps = node().drain({"b": 5.0})
    next(steps)
    with pytest.raises(StopIteration):
        steps.send(None)
    drainer = node()
    tell(drainer.live(), {Read: (running("a", "b"), 1)}, Wait)
    drainer.now = 100.0
    write = tell(drainer.drain({"b": 105.0}), {Read: None}, Write)
    assert isinstance(write, Write)
    assert (write.state.round_id, write.state.draining, write.token) == ("round", {"b": 5.0}, None)


def test_closing_ends_what_was_under_way() -> None:
    """Rule 12."""
    closed = close(running("a", "b", waiting=1, knock="knock", draining={"b": 5.0}))
    assert (closed.phase, closed.waiting, closed.knock, closed.draining) == ("closed", 0, None, {})
    check_state(closed)
    assert close(running("a", "b", phase="joining", last_call="call")).last_call is None
