"""For what a node looks into a ledger that is kept apart, and what it makes of it (Rule 24)."""

import pytest
from msgspec.structs import replace

from rendezvous_core import RendezvousGracefulExitError
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.protocol.operations import Fetch, Put, Read, Remove, Steps, Wait, Write
from rendezvous_core.records.ledger import Entry, pages
from rendezvous_core.records.state import Apart, Settings, State
from tests.simulation.test_details import node, running, tell


def apart(state: State) -> State:
    """The head of a state whose ledger is kept apart."""
    return replace(state, apart=Apart("ledger", 1, 2, 2, 0)).head


def ranked_first() -> tuple[Node, Steps, State]:
    """A node of a round, which is about to load the ledger since it is to have that whole."""
    heir = node()
    steps = heir.live()
    state = replace(running("a", "b"), apart=Apart("ledger", 1, 2, 2, 0))
    tell(steps, {Read: (state.head, 1), Fetch: pages(state)}, Put)
    assert next(steps) == Fetch("ledger", range(1))
    return heir, steps, state


def ranked_last() -> tuple[Node, Steps, State]:
    """A node that waits in its round, whose place it has found in the ledger."""
    settings = Settings(2, 4)
    goer = node(settings=settings)
    steps = goer.live()
    state = running("b", "c", "d", "a", settings=settings, apart=Apart("ledger", 1, 4, 4, 0))
    tell(steps, {Read: (state.head, 1), Fetch: pages(state)}, Wait)
    assert goer.state == state.head
    return goer, steps, state


def test_a_place_in_a_round_that_is_over_is_none() -> None:
    """Rule 1: what the ledger says of it is of the round before."""
    asker = node()
    steps = asker.live()
    over = apart(running("a", "b", phase="joining", round=1))
    fetch = tell(steps, {Read: (over, 1)}, Fetch)
    assert fetch == Fetch("ledger", [0])
    steps.send([{"a": Entry(1, 0, 1, 3.0)}])
    assert asker.outcome is None
    assert asker.member.ticket == 2


def test_node_of_other_settings_leaves_the_ledger_alone() -> None:
    """Rule 13: it has no place there to look for."""
    stranger = node(settings=Settings(1, 1))
    steps = stranger.live()
    asked = [type(next(steps)), type(steps.send((apart(running("b", "c")), 1)))]
    assert asked == [Read, Wait]


def test_who_has_the_ledger_whole_does_not_look_into_it() -> None:
    """Rule 24: not even for others who drain."""
    heir = node()
    steps = heir.live()
    state = replace(running("a", "b"), apart=Apart("ledger", 1, 2, 2, 0))
    answers = {Read: (state.head, 1), Fetch: pages(state)}
    tell(steps, answers, Wait)
    assert heir.state == state
    told = [type(steps.send(True)), type(steps.send((replace(state.head, serial=8, draining={"b": 5.0}), 2)))]
    assert Fetch not in told
    assert list(heir.leaving) == [1]


def test_who_drains_knows_which_rank_it_has() -> None:
    """Rule 24: it does not look again for what it knows."""
    goer, steps, state = ranked_last()
    assert goer.outcome == Joined(0, "round", 3, 4)
    steps.send(True)
    assert type(steps.send((replace(state.head, serial=8, draining={"a": 5.0}), 2))) is Wait
    assert list(goer.leaving) == [3]


def test_who_finds_itself_out_puts_no_record_any_more() -> None:
    """Rule 9: also where it finds that in the ledger."""
    goer, steps, state = ranked_last()
    goer.quit("leave")
    steps.send(True)
    left = replace(state, serial=8, gone={"a": "left"}, spent={"a": 1}, apart=Apart("next", 1, 4, 3, 1))
    assert type(steps.send((left.head, 2))) is Fetch
    assert steps.send(pages(left)) == Remove("a")


def test_who_is_to_have_a_ledger_and_finds_it_missing_says_so() -> None:
    """Rule 24: the second time, when no other ledger stands instead."""
    heir, steps, state = ranked_first()
    assert steps.send(None) == Read()
    assert type(steps.send((state.head, 2))) is Fetch
    put = steps.send(None)
    assert isinstance(put, Put)
    assert put.member.misses == "ledger"
    assert heir.state == state.head


def test_ledger_of_a_state_that_was_seen_anew_meanwhile_is_not_taken_for_its_own() -> None:
    """Rule 24: another thread saw what stands while the pages were on their way."""
    heir, steps, state = ranked_first()
    drains = heir.drain({"b": 5.0})
    next(drains)
    write = drains.send((replace(state.head, serial=8), 2))
    assert isinstance(write, Write)
    with pytest.raises(StopIteration):
        drains.send((write.state, 3, True))
    assert steps.send(pages(state)) == Read()
    assert heir.state == write.state


def test_who_is_in_the_round_looks_which_ranks_are_to_go() -> None:
    """Rule 24: it has looked for its own place alone."""
    follower, steps, state = ranked_last()
    steps.send(True)
    assert type(steps.send((replace(state.head, serial=8, draining={"b": 5.0}), 2))) is Fetch
    assert type(steps.send(pages(state))) is Wait
    assert follower.leaving == {0: 5.0}
    steps.send(True)
    left = replace(state, serial=9, gone={"b": "left"}, spent={"b": 1}, apart=Apart("next", 1, 4, 3, 1))
    assert type(steps.send((left.head, 3))) is Wait, "what it knows is enough"


def test_spare_looks_once_a_round() -> None:
    """Rule 24: until it is to go itself; then it has to know whether it is in."""
    spare = node(settings=Settings(2, 4))
    steps = spare.live()
    state = running("b", "c", "d", "e", settings=Settings(2, 4), apart=Apart("ledger", 1, 4, 4, 0))
    tell(steps, {Read: (state.head, 1), Fetch: pages(state)}, Wait)
    steps.send(True)
    left = replace(state, serial=8, gone={"b": "left"}, spent={"b": 1}, apart=Apart("next", 1, 4, 3, 1))
    assert type(steps.send((left.head, 2))) is Wait
    steps.send(True)
    assert type(steps.send((replace(left.head, serial=9, draining={"a": 5.0}), 3))) is Fetch
    assert spare.outcome is None
    steps.send(pages(left))
    assert isinstance(spare.outcome, RendezvousGracefulExitError)
