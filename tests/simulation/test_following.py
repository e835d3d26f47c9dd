"""How a node follows the state of its run: one that comes, stands still, is lost, or is older."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from rendezvous_core import RendezvousConnectionError, RendezvousGracefulExitError
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.operations import (
    Fetch,
    File,
    List,
    Put,
    Read,
    Remove,
    Rest,
    Steps,
    Wait,
    Write,
)
from rendezvous_core.records.ledger import pages
from rendezvous_core.records.state import Apart, Settings, State
from rendezvous_core.records.terms import Timing
from tests.simulation.test_answers import asker
from tests.simulation.test_details import SETTINGS, member, node, running, tell

SLOW = Timing(2.0, 3, 2.0)
"""Of a period that is not a second."""

APART = Apart("ledger", 1, 4, 4, 0)
WIDE = Settings(2, 4)


def slow(**options: Any) -> tuple[Node, Steps]:
    made = node(settings=WIDE, timing=SLOW, **options)
    return made, made.live()


def wrote(steps: Steps, first: Any = None) -> Write:
    write = tell(steps, {}, Write, first)
    assert isinstance(write, Write)
    return write


def test_who_brings_back_a_lost_state_counts_nobodys_silence_from_before() -> None:
    """Rule 11: that it was lost says nothing of who coordinated."""
    finder = node()
    steps = finder.live()
    tell(steps, {Read: (running("a", "b", beat=4), 1)}, Wait)
    assert finder.restored == 0
    steps.send(True)
    write = wrote(steps)
    assert finder.restored == 1
    tell(steps, {}, List, (write.state, 2, True))
    steps.send(({"b": member("b", ticket=1, beat=4)}, 1))
    assert finder.coordinator.observer.silence("b") == 0.0


def test_state_that_was_rolled_back_is_replaced_each_time() -> None:
    """Rule 11: by the newest one that the node has seen, in the place of the older one."""
    finder = node()
    steps = finder.live()
    tell(steps, {Read: (running("a", "b"), 1)}, Wait)
    for time, token in ((1, "older"), (2, "older again")):
        steps.send(True)
        write = wrote(steps, (State(run="run", settings=SETTINGS, serial=3), token))
        assert (write.state.roster, write.token) == (running("a", "b").roster, token)
        assert finder.restored == time
        tell(steps, {List: ({"b": member("b", ticket=1)}, 1)}, Wait, (write.state, 2, True))


def test_first_node_of_a_run_brings_back_nothing() -> None:
    first = node()
    steps = first.live()
    next(steps)
    write = wrote(steps)
    assert (write.state.settings, write.state.coordinator, first.restored) == (SETTINGS, "a", 0)
    assert (write.state.serial, write.token) == (1, None)
    assert steps.send(None) == Read(), "whether it was written is not known"


def test_closing_a_run_that_is_not_there_closes_it_for_those_who_come() -> None:
    """Rule 12."""
    steps = node().close()
    next(steps)
    write = wrote(steps)
    assert (write.state.phase, write.state.settings, write.token) == ("closed", SETTINGS, None)


def test_a_run_that_was_closed_is_brought_back_closed() -> None:
    """Rules 11 and 12: also one of other settings than the node's."""
    inside = node()
    steps = inside.live()
    tell(steps, {Read: (running("a", "b"), 1)}, Wait)
    closed = running("a", "b", phase="closed", settings=Settings(1, 1), serial=8)
    steps.send(True)
    tell(steps, {}, Wait, (closed, 2))
    steps.send(True)
    assert wrote(steps).state.phase == "closed"
    closing = inside.close()
    next(closing)
    assert wrote(closing).state.phase == "closed", "by whoever closes it, too"


def test_a_closed_run_is_looked_at_no_more_often_than_others() -> None:
    """Rule 10: nobody takes it over."""
    inside = node()
    steps = inside.live()
    state = running("a", "b", phase="closed", lease=3.0)
    tell(steps, {Read: (running("a", "b", lease=3.0), 1)}, Wait)
    steps.send(True)
    tell(steps, {}, Wait, (replace(state, serial=8), 2))
    for now in (1.0, 2.0, 3.0):
        inside.now = now
        steps.send(True)
        wait = tell(steps, {}, Wait, (replace(state, serial=8), 2))
        assert isinstance(wait, Wait)
        assert wait.timeout == 1.0


def test_lost_state_is_left_for_a_while_to_those_who_have_its_ledger() -> None:
    """Rule 24: each time anew."""
    follower, steps = slow()
    state = running("b", "c", "d", "a", settings=WIDE, apart=APART)
    follower.now = 100.0
    tell(steps, {Read: (state.head, 1), Fetch: pages(state)}, Wait)
    for lost in (100.0, 200.0):
        steps.send(True)
        for now in (lost, lost + 3.0):
            follower.now = now
            assert steps.send(None) == Rest(SLOW.look)
            assert steps.send(None) == Read()
        follower.now = lost + 3.1
        if lost == 100.0:
            tell(steps, {}, Wait, (replace(state.head, serial=8), 2))
    write = steps.send(None)
    assert isinstance(write, Write)
    assert write.state.apart == APART, "where it was, since nobody here has it"


def test_ledger_of_a_lost_state_is_filed_anew() -> None:
    """Rule 24: what the backend has of it may be lost as well."""
    heir = node(timing=SLOW, page=1)
    steps = heir.live()
    state = replace(running("a", "b"), apart=Apart("ledger", 2, 2, 2, 0))
    tell(steps, {Read: (state.head, 1), Fetch: pages(state)}, Wait)
    assert heir.state == state
    steps.send(True)
    filed = steps.send(None)
    assert isinstance(filed, File)
    assert filed.ledger != "ledger"
    assert filed.pages == pages(state)


@pytest.mark.parametrize("wish", [Node.close, lambda heir: heir.drain({"b": 5.0})], ids=["close", "drain"])
def test_ledger_stays_where_it_is_when_its_state_is_there(wish: Callable[[Node], Steps]) -> None:
    """Rule 24: whatever is wished; and is filed anew where that is lost."""
    heir = node(timing=SLOW, page=1)
    steps = heir.live()
    state = replace(running("a", "b"), apart=Apart("ledger", 2, 2, 2, 0))
    tell(steps, {Read: (state.head, 1), Fetch: pages(state)}, Wait)
    wishes = wish(heir)
    next(wishes)
    assert type(wishes.send((replace(state.head, serial=8), 2))) is Write
    wishes = wish(heir)
    next(wishes)
    filed = wishes.send(None)
    assert isinstance(filed, File)
    assert filed.ledger != "ledger"


def test_coordinator_without_its_ledger_goes_on_without_it() -> None:
    """Rule 24: when a page is missing for the second time."""
    _, steps = slow()
    forming = {"settings": WIDE, "coordinator": "a", "phase": "joining", "round": 4}
    head = running("b", "c", "d", "x", apart=APART, **forming).head
    claim = tell(steps, {Read: (head, 1)}, Write)
    assert isinstance(claim, Write)
    tell(steps, {}, List, (claim.state, 2, True))
    write = wrote(steps, ({}, 1))
    assert (write.state.phase, write.state.round, write.state.round_id) == ("joining", 4, "")
    assert write.state.apart is None


def test_who_has_the_ledger_decides_by_it() -> None:
    """Rule 24: it does not load what it has."""
    heir = node(timing=SLOW, page=1)
    steps = heir.live()
    state = replace(running("a", "b"), apart=Apart("ledger", 2, 2, 2, 0))
    tell(steps, {Read: (state.head, 1), Fetch: pages(state)}, Wait)
    steps.send(True)
    write = steps.send((replace(state.head, coordinator=None, serial=8), 2))
    assert isinstance(write, Write)
    operation = steps.send((write.state, 3, True))
    while type(operation) is not List:
        assert type(operation) is not Fetch
        operation = steps.send(None)


def test_who_finds_its_page_missing_says_so() -> None:
    """Rule 24: the second time, when no other ledger stands instead."""
    follower = node(settings=WIDE)
    steps = follower.live()
    head = running("b", "c", "d", "a", settings=WIDE, apart=APART).head
    assert tell(steps, {Read: (head, 1)}, Fetch) == Fetch("ledger", [0])
    assert steps.send(None) == Read()
    assert type(steps.send((head, 1))) is Fetch
    put = steps.send(None)
    assert isinstance(put, Put)
    assert (put.member.misses, put.announce) == ("ledger", True)


def test_a_state_that_stands_still_for_a_lease_is_taken_over() -> None:
    """Rule 10: by what the node saw of it; a pause of its own counts as one watch."""
    follower, steps = slow()
    follower.now = 1000.0
    state = running("b", "c", "d", "a", settings=WIDE, lease=6.0)
    tell(steps, {Read: (state, 1)}, Wait)
    for now in (1000.5, 1001.0, 1101.0, 1103.0):
        follower.now = now
        assert steps.send(True) == Read()
        tell(steps, {}, Wait, (state, 1))
    follower.now = 1103.5
    assert steps.send(True) == Read()
    write = wrote(steps, (state, 1))
    assert (write.state.coordinator, follower.deposed_after) == ("a", 6.0)


def test_who_is_deposed_before_it_decided_is_more_patient() -> None:
    """Rule 10."""
    leader = node()
    steps = leader.live()
    write = tell(steps, {Read: (running("a", "b", coordinator=None), 1)}, Write)
    assert isinstance(write, Write)
    tell(steps, {}, List, (write.state, 2, True))
    others = running("a", "b", term="another", serial=20)
    closer = leader.close()
    next(closer)
    closer.send((replace(write.state, serial=19), 3))
    assert not leader.coordinator.failed
    closer = leader.close()
    next(closer)
    closer.send((others, 4))
    assert leader.coordinator.failed
    answer: Any = ({}, 1)
    for now in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0):
        leader.now = now
        tell(steps, {Read: (others, 4)}, Wait, answer)
        answer = True
    leader.now = 6.0
    claim = tell(steps, {Read: (others, 4)}, Write, True)
    assert isinstance(claim, Write)
    assert claim.state.coordinator == "a"


def test_what_the_user_wants_is_announced_though_another_one_coordinates_meanwhile() -> None:
    """Rule 15."""
    goer = node()
    steps = goer.live()
    tell(steps, {Read: (running("a", "b"), 1)}, Wait)
    assert goer.member.seen == 0
    goer.quit("leave")
    steps.send(True)
    put = steps.send((running("a", "b", term="another", serial=8), 2))
    assert isinstance(put, Put)
    assert (put.member.intent, put.member.term, put.announce) == ("leave", "another", True)


def test_a_node_tells_which_round_it_saw_complete() -> None:
    """Rule 11."""
    seen = asker()
    for state, round in (
        (running("b", "c", round=5), 5),
        (running("b", "c", round=6, phase="joining", serial=8), 5),
        (running("b", "c", round=6, serial=9), 6),
    ):
        seen.see(state)
        assert seen.node.member.seen == round


def test_times_of_drains_stay_as_they_were_first_told() -> None:
    """Rule 23: until another time is told."""
    inside = asker()
    inside.see(running("a", "b", "c", draining={"b": 5.0}))
    inside.see(running("a", "b", "c", draining={"b": 5.0, "c": 4.0}, serial=8), 2.0)
    assert inside.node.leaving == {1: 5.0, 2: 6.0}
    inside.see(running("a", "b", "c", draining={"b": 1.0}, serial=9), 3.0)
    assert inside.node.leaving == {1: 4.0}
    inside.see(running("a", "b", "c", draining={}, serial=10), 4.0)
    assert inside.node.leaving == {}


def test_node_that_was_to_go_and_is_asked_back_stays() -> None:
    """Rule 23: also where others are to go."""
    goer = asker()
    goer.see(running("b", "c", draining={"a": 5.0}))
    assert isinstance(goer.told, RendezvousGracefulExitError)
    goer.see(running("b", "c", draining={"a": 5.0}, spent={"a": 1}, serial=8))
    assert goer.node.finished
    back = goer.node
    back.ask()
    steps = back.live()
    assert wrote(steps).state.draining == {}
    assert steps.send(None) == Read(), "whether it was written is not known"
    state = running("b", "c", draining={"a": 5.0, "b": 3.0}, spent={"a": 1}, serial=9)
    write = wrote(steps, (state, 2))
    assert (write.state.draining, write.token) == ({"b": 3.0}, 2)
    assert (back.outcome, back.member.intent) == (None, "join")


def test_a_node_that_drains_goes_in_time() -> None:
    """Rule 23: though nobody is told, and by the earliest time; it stays where it is no longer to go."""
    goer = node()
    steps = goer.live()
    tell(steps, {Read: (running("a", "b"), 1)}, Wait)
    assert next(goer.drain({"a": 0.4})) == Read()
    assert next(goer.drain({"a": 0.7})) == Read()
    assert steps.send(False) == Wait(1, None, 0.4)
    goer.now = 0.3
    wait = steps.send(False)
    assert isinstance(wait, Wait)
    assert wait.timeout == pytest.approx(0.1)
    goer.now = 0.4
    put = steps.send(False)
    assert isinstance(put, Put)
    assert put.member.intent == "leave"
    wait = steps.send(None)
    assert isinstance(wait, Wait)
    assert wait.timeout == pytest.approx(0.85), "until it reads the state again"


def test_drain_of_others_is_told_in_what_is_left() -> None:
    """Rule 23: also to who is to have gone already."""
    drainer = node()
    tell(drainer.live(), {Read: (running("a", "b"), 1)}, Wait)
    steps = drainer.drain({"b": 5.0, "x": -1.0})
    next(steps)
    write = wrote(steps, (running("a", "b"), 1))
    assert write.state.draining == {"b": 5.0, "x": 0.001}
    with pytest.raises(StopIteration):
        steps.send((write.state, 2, True))


def test_drain_is_told_of_the_newest_state_that_was_seen() -> None:
    """Rules 11 and 23: in the place of the older one that a failing backend came back with."""
    drainer = node()
    tell(drainer.live(), {Read: (running("a", "b"), 1)}, Wait)
    steps = drainer.drain({"b": 5.0})
    next(steps)
    write = wrote(steps, (State(run="run", settings=SETTINGS, serial=3), 2))
    assert (write.state.round_id, write.state.serial, write.token) == ("round", 8, 2)


def test_drain_is_told_again_where_another_write_was_first() -> None:
    """Rule 23."""
    drainer = node()
    tell(drainer.live(), {Read: (running("a", "b"), 1)}, Wait)
    steps = drainer.drain({"b": 5.0})
    next(steps)
    wrote(steps, (running("a", "b"), 1))
    assert steps.send((running("a", "b", serial=9), 2, False)) == Read()
    closed = running("a", "b", phase="closed", serial=10)
    with pytest.raises(StopIteration):
        steps.send((closed, 3))


def test_last_record_is_removed_even_where_that_fails() -> None:
    """Rule 9: others find it silent."""
    goer = node()
    steps = goer.live()
    tell(steps, {Read: (running("b", "c"), 1)}, Wait)
    goer.quit("leave")
    steps.send(True)
    assert steps.send((running("b", "c", serial=8, spent={"a": 1}), 2)) == Remove("a")
    with pytest.raises(StopIteration):
        steps.throw(RendezvousConnectionError("the server is away"))
