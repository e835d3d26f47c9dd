"""How a node lives: when it acts, and what it does about what fails."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from rendezvous_core import RendezvousConnectionError
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.operations import (
    Drop,
    Fetch,
    File,
    List,
    Operation,
    Put,
    Read,
    Remove,
    Rest,
    Wait,
    Write,
)
from rendezvous_core.records.ledger import Page, pages
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Apart, Settings, State
from rendezvous_core.records.terms import Timing
from tests.simulation.test_details import TERMS, TIMING, member, node, running, tell

LOOK = pytest.approx(TIMING.look)
OUTAGE = RendezvousConnectionError("the server is away")


class Alone:
    """A backend that does what one node asks of it, which coordinates; others are as ``members`` say."""

    def __init__(self, node: Node, state: State, members: Mapping[str, Member]) -> None:
        self.node, self.state = node, state
        self.members = dict(members)
        self.done: list[Operation] = []
        self.found: Sequence[Page] | None = None
        self._steps = node.live()
        self._asked: Operation | None = None
        self._token = 0

    def until(self, now: float) -> float:
        """Let the node act when its clock shows this; return for how long it then waits."""
        self.node.now = now
        self.done.clear()
        wait = self.step_to(Wait)
        assert isinstance(wait, Wait)
        return wait.timeout

    def step_to(self, kind: type[Operation]) -> Operation:
        """Do what the node asks until it asks for this, which is done when it goes on."""
        for _ in range(20):
            operation = self._steps.send(None if self._asked is None else self._apply(self._asked))
            self.done.append(operation)
            self._asked = operation
            if type(operation) is kind:
                return operation
        pytest.fail(f"it does not come to a {kind.__name__}")

    def _apply(self, operation: Operation) -> Any:
        match operation:
            case Read():
                return self.state, self._token
            case Write(state, token):
                assert token == self._token
                self.state, self._token = state, self._token + 1
                return state, self._token, True
            case List():
                return self.members, "watch"
            case Fetch():
                return self.found
            case Wait():
                return False
            case _:
                return None


def leads(state: State, *others: str, page: int = 64) -> Alone:
    """A node that coordinates at 0.0, and ``others`` that proved themselves alive to it."""
    term = "id0"
    made = node(settings=state.settings, page=page)
    return Alone(made, state, {name: member(name, ticket=1, term=term) for name in others})


def test_newcomers_gather_for_as_long_as_is_said() -> None:
    """Rule 18: from when the first was noticed, to the moment."""
    alone = leads(running("a", "b", settings=Settings(2, 3, admit_newcomers=2.0), coordinator=None), "b", "c")
    assert alone.until(0.0) == LOOK
    assert alone.state.knock
    for now, left in ((0.5, LOOK), (1.9, pytest.approx(0.1))):
        assert alone.until(now) == left
        assert alone.state.waiting == 0
    assert alone.until(2.0) == LOOK
    assert alone.state.waiting == 1
    assert alone.until(2.1) == LOOK
    alone = leads(running("a", "b", settings=Settings(2, 3, admit_newcomers=2.0), coordinator=None), "b")
    alone.until(0.0)
    assert alone.until(1.9) == LOOK, "nobody gathers"


def test_last_call_lasts_for_as_long_as_is_said() -> None:
    """Rules 6 and 17: from when it was called, to the moment; and who looks sooner has a reason."""
    alone = leads(State(run="run", settings=Settings(2, 4)), "b")
    alone.until(0.0)
    assert alone.state.last_call
    assert alone.until(0.01) == pytest.approx(TIMING.settle - 0.01)
    assert alone.until(TIMING.settle) == LOOK
    assert alone.until(1.9) == pytest.approx(0.1)
    assert not alone.state.roster
    alone.until(2.0)
    assert len(alone.state.roster) == 2
    assert alone.until(2.1) == LOOK


def test_coordinator_without_news_writes_once_a_period() -> None:
    """Rule 3: to show that it can; it rests only after what takes time."""
    alone = leads(running("a", "b", coordinator=None), "b")
    alone.until(0.0)
    for now, writes in ((0.2, 0), (0.8, 0), (1.0, 1), (1.2, 0), (1.8, 0), (1.95, 1)):
        alone.until(now)
        kinds = [type(each) for each in alone.done]
        assert (kinds.count(Write), kinds.count(Put), kinds.count(Rest)) == (writes, writes, 0)


def test_records_of_those_who_are_long_dead_are_removed() -> None:
    """Rule 14."""
    alone = leads(running("a", "b", coordinator=None), "b", "c")
    removed: list[Operation] = []
    for look in range(100):
        alone.members["b"] = replace(alone.members["b"], beat=look, term=alone.state.term)
        alone.until(0.4 * look)
        removed += [each for each in alone.done if isinstance(each, Remove)]
    assert Remove("c") in removed
    assert Remove("b") not in removed


def test_state_is_renewed_by_a_pass_that_takes_longer_than_a_period() -> None:
    """Rule 3: though no beat was due when it began."""
    alone = leads(running("a", "b", coordinator=None), "b")
    alone.until(0.0)
    alone.done.clear()
    alone.node.now = 0.8
    alone.step_to(List)
    alone.node.now = 1.2
    alone.step_to(Wait)
    kinds = [type(each) for each in alone.done]
    assert (kinds.count(Put), kinds.count(Write)) == (0, 1)


def test_who_did_not_write_what_it_decided_has_finished_no_pass() -> None:
    """Rule 10."""
    for reply, failed in ((None, True), ("written", False)):
        leader = node()
        steps = leader.live()
        claim = tell(steps, {Read: (running("a", "b", coordinator=None), 1)}, Write)
        assert isinstance(claim, Write)
        tell(steps, {}, List, (claim.state, 2, True))
        write = tell(steps, {}, Write, ({"b": member("b", ticket=2)}, 1))
        assert isinstance(write, Write)
        steps.send(reply and (write.state, 3, True))
        closer = leader.close()
        next(closer)
        closer.send((running("a", "b", term="another", serial=20), 4))
        assert leader.coordinator.failed is failed


def test_ledger_that_somebody_misses_is_filed_anew() -> None:
    """Rule 24: by who has it, and the one before is dropped."""
    state = replace(running("a", "b", coordinator=None, spent={"x": 1}), apart=Apart("ledger", 2, 2, 2, 0))
    alone = leads(state, "b", page=2)
    alone.found = pages(state)
    alone.until(0.0)
    assert alone.state.apart is not None
    before = alone.state.apart
    alone.until(0.2)
    assert alone.state.apart == before
    alone.members["b"] = replace(alone.members["b"], misses=before.id, beat=1)
    alone.until(0.4)
    filed, write, drop = [each for each in alone.done if isinstance(each, File | Write | Drop)]
    assert isinstance(filed, File)
    assert isinstance(write, Write)
    assert write.state.apart == Apart(filed.ledger, 2, 2, 2, 0)
    assert filed.ledger != before.id
    assert filed.pages == pages(replace(state, apart=write.state.apart))
    assert drop == Drop(before.id, before.pages)
    assert Fetch not in map(type, alone.done), "it knows what it wrote"


def test_ledger_of_which_nothing_is_left_is_dropped() -> None:
    """Rules 14 and 24: where no round was ever formed, and those who asked are long gone."""
    spent = {f"old{number}": 1 for number in range(67)}
    state = State(
        run="run", settings=Settings(2, 3), serial=7, spent=spent, apart=Apart("ledger", 34, 0, 0, 0)
    )
    alone = leads(state, page=2)
    alone.until(0.0)
    assert (alone.state.spent, alone.state.apart) == ({}, None)
    assert Drop("ledger", 34) in alone.done


def test_ledger_of_a_write_that_came_too_late_is_dropped() -> None:
    """Rule 24: nobody names it."""
    state = replace(running("a", "b", coordinator=None, spent={"x": 1}), apart=Apart("ledger", 2, 2, 2, 0))
    leader = node(page=2)
    steps = leader.live()
    claim = tell(steps, {Read: (state.head, 1), Fetch: pages(state)}, Write)
    assert isinstance(claim, Write)
    tell(steps, {Fetch: pages(state)}, List, (claim.state, 2, True))
    filed = tell(steps, {}, File, ({"b": member("b", ticket=2)}, 1))
    assert isinstance(filed, File)
    assert type(steps.send(None)) is Write
    other = replace(state.head, serial=30, term="another", coordinator="b")
    assert steps.send((other, 3, False)) == Drop(filed.ledger, len(filed.pages))
    assert leader.state == replace(state, serial=30, term="another", coordinator="b"), "of the ledger before"


def test_state_that_is_written_is_newer_than_all_that_was_seen() -> None:
    """Rule 3: also by another thread of the node."""
    leader = node()
    steps = leader.live()
    claim = tell(steps, {Read: (running("a", "b", coordinator=None), 1)}, Write)
    assert isinstance(claim, Write)
    tell(steps, {}, List, (claim.state, 2, True))
    closer = leader.close()
    next(closer)
    closer.send((replace(claim.state, serial=19), 3))
    write = tell(steps, {}, Write, ({"b": member("b", ticket=2)}, 1))
    assert isinstance(write, Write)
    assert (write.state.serial, write.token) == (20, 2)


def test_who_cannot_reach_the_backend_tries_again_less_and_less_often() -> None:
    """Rule 2: but as often as it would look, and as often as at first once it could."""
    tries = node(timing=Timing(1000.0, 3))
    steps = tries.live()
    next(steps)
    for failures in [*range(1, 11), 10, 10]:
        assert steps.throw(OUTAGE) == Rest(0.01 * 2**failures)
        assert tries.trouble is OUTAGE
        assert steps.send(None) == Read()
    tell(steps, {Read: (running("b", "c"), 1)}, Wait, (running("b", "c"), 1))
    steps.send(True)
    tell(steps, {}, Wait, (running("b", "c", serial=8), 1))
    assert tries.trouble is None
    assert steps.throw(OUTAGE) == Rest(0.02)
    often = node()
    steps = often.live()
    next(steps)
    for _ in range(4):
        steps.throw(OUTAGE)
        steps.send(None)
    assert steps.throw(OUTAGE) == Rest(TIMING.look)


def test_record_that_may_not_have_arrived_is_put_again() -> None:
    """Rule 15: as the news that it was."""
    asks = node()
    steps = asks.live()
    first = tell(steps, {Read: (running("b", "c"), 1)}, Put)
    assert isinstance(first, Put)
    assert type(steps.throw(OUTAGE)) is Rest
    second = tell(steps, {}, Put)
    assert isinstance(second, Put)
    assert (first.announce, second.announce, second.member.beat) == (True, True, first.member.beat + 1)


def test_heartbeat_that_may_not_have_arrived_is_put_again_at_once() -> None:
    """Rules 2 and 15: and as news, if there is some by then."""
    for quits in (False, True):
        asks = node()
        steps = asks.live()
        tell(steps, {Read: (running("b", "c"), 1)}, Wait)
        asks.now = 1.0
        beat = steps.send(False)
        assert isinstance(beat, Put)
        if quits:
            asks.quit("leave")
        assert type(steps.throw(OUTAGE)) is Rest
        again = steps.send(None)
        assert isinstance(again, Put)
        assert (beat.announce, again.announce) == (False, quits)


def test_follower_beats_each_period_and_reads_a_little_less_often() -> None:
    """Rules 2 and 10: it is woken by what changes, and looks for itself where that is lost."""
    follower = node(timing=Timing(2.0, 3))
    steps = follower.live()
    state = running("b", "c", lease=6.0)
    wait = tell(steps, {Read: (state, 1)}, Wait)
    assert isinstance(wait, Wait)
    assert (wait.token, wait.members, wait.timeout) == (1, None, 2.0)
    follower.now = 2.0
    assert type(steps.send(False)) is Put
    assert steps.send(None) == Wait(1, None, 0.5)
    follower.now = 2.5
    assert steps.send(False) == Read()
    assert steps.send((state, 1)) == Wait(1, None, 1.5)
    follower.now = 4.0
    assert type(steps.send(False)) is Put
    assert steps.send(None) == Wait(1, None, 1.0)
    follower.now = 5.0
    assert steps.send(False) == Read()
    # It is to take over a second later, and not a watch.
    assert steps.send((state, 1)) == Wait(1, None, 1.0)


def test_run_that_was_closed_before_is_begun_anew() -> None:
    """Rule 21: by who is to, and comes now; it leads at once."""
    comes = node(reopens=True)
    closed = running("b", "c", phase="closed", reopened=2, serial=9)
    alone = Alone(comes, closed, {})
    alone.until(0.0)
    first = next(each for each in alone.done if isinstance(each, Write))
    assert (first.state.reopened, first.state.phase, first.state.coordinator) == (3, "joining", "a")
    assert first.state.spent == {"b": 1, "c": 1}
    goes = node(reopens=True)
    steps = goes.live()
    next(steps)
    goes.quit("leave")
    assert steps.send((closed, 1)) == Remove("a"), "which has no business in it any more"
    steps = node(reopens=True).live()
    next(steps)
    assert type(steps.send((closed, 1))) is Write
    assert steps.send(None) == Read(), "whether it was written is not known"


def test_closing_is_tried_until_it_stands() -> None:
    """Rule 12."""
    closer = node()
    steps = closer.close()
    next(steps)
    write = steps.send((running("b", "c", beat=4), 5))
    assert isinstance(write, Write)
    assert (write.state.phase, write.state.beat, write.token) == ("closed", 4, 5)
    assert steps.send((running("b", "c", serial=9), 6, False)) == Read()
    assert closer.state == running("b", "c", serial=9)
    with pytest.raises(StopIteration):
        steps.send((running("b", "c", phase="closed", serial=10), 7))
    inside = node()
    steps = inside.live()
    tell(steps, {Read: (running("a", "b"), 1)}, Wait)
    closes = inside.close()
    next(closes)
    with pytest.raises(StopIteration):
        closes.send((running("a", "b", phase="closed", serial=8), 5))
    wait = tell(steps, {}, Wait, False)
    assert isinstance(wait, Wait)
    assert wait.token == 5, "it waits on what was seen"


def test_who_has_not_asked_has_no_business() -> None:
    fresh = Node(member("a"), TERMS, lambda: "id")
    assert (fresh.outcome, fresh.joined, fresh.trouble, fresh.finished) == (None, None, None, True)
    assert (fresh.nodes_waiting, fresh.is_closed, fresh.leaving) == (0, False, {})
    assert (fresh.now, fresh.restored, fresh.deposed_after) == (0.0, 0, 0.0)
    closes = fresh.close()
    next(closes)
    assert type(closes.send((running("b", "c"), 1))) is Write, "but it may close the run"


def test_only_an_ask_that_has_no_answer_is_cancelled() -> None:
    """Rule 9: and one that won meanwhile is not."""
    asks = node()
    steps = asks.live()
    next(steps)

    def stands(intent: str, holds: str = "round", ticket: int = 1) -> bool:
        return (asks.member.intent, asks.member.holds, asks.member.ticket) == (intent, holds, ticket)

    asks.quit("cancel")
    assert stands("cancel", "")
    tell(steps, {}, Wait, (running("a", "b"), 1))
    assert stands("join")
    asks.quit("cancel")
    assert stands("join")
    asks.quit("leave")
    asks.quit("cancel")
    assert stands("leave")
    asks.ask()
    assert stands("join", "", 2)


def test_a_node_beats_three_times_in_its_patience_at_least() -> None:
    """Rule 2."""
    for interval, attempts, durations in (
        (3.0, 1, (3.0, 1.0, 0.2)),
        (3.0, 5, (15.0, 3.0, 0.6)),
        (86_400.0, 1, (86_400.0, 28_800.0, 5760.0)),
        (0.3, 3, (0.9, 0.3, 0.06)),
    ):
        timing = Timing(interval, attempts)
        assert (timing.dead_after, timing.period, timing.look) == pytest.approx(durations)
