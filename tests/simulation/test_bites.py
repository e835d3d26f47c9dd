"""The simulation bites: without any one of its rules, the protocol breaks in a scenario.

Each row takes one rule out of the code and names the story that must then fail. Rules of the
protocol that no story needs do not stay in it.
"""

import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import pytest

from rendezvous_core.protocol import decision
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.observation import Observer
from rendezvous_core.protocol.records import State
from tests.simulation import scenarios
from tests.simulation.invariants import Violation

Story = Callable[[Any], None]


class Bite(NamedTuple):
    rule: str
    function: Any
    code: str
    without: str
    story: Story


BITES = [
    Bite(
        "only who proved itself alive in this term is admitted",
        Observer.look,
        "track.member.term == term",
        "True",
        scenarios.all_die_and_the_run_id_starts_again,
    ),
    Bite(
        "only the fresh are admitted",
        decision._complete_if_possible,
        "asks = [member for member in asks if member.node in sight.fresh]",
        "pass",
        scenarios.all_die_and_the_run_id_starts_again,
    ),
    Bite(
        "a new term is echoed at once",
        Node._see,
        "self._news |= self.outcome is None",
        "pass",
        scenarios.coordinator_leaves,
    ),
    Bite(
        "a term is named anew at every takeover",
        Node._claim,
        "self._term, self._passed, self._observer = self._new_id(),",
        "self._term, self._passed, self._observer = 'term',",
        scenarios.all_die_and_the_run_id_starts_again,
    ),
    Bite(
        "what rose during an outage of the observer's may be as old as the outage",
        Observer.look,
        "rose = now if gap <= self._gap else self._looked",
        "rose = now",
        scenarios.coordinator_returns_and_finds_the_last_beats_of_the_dead,
    ),
    Bite(
        "an outage of the observer's is no silence of the others",
        Observer.look,
        "min(gap, self._gap)",
        "gap",
        scenarios.backend_is_away_for_longer_than_dead_after,
    ),
    Bite(
        "absence is silence, not death",
        Observer.look,
        "if track.silence >= track.dead_after}",
        "if track.silence >= track.dead_after or node not in listed}",
        scenarios.records_of_living_members_are_lost,
    ),
    Bite(
        "a record is newer only with a higher beat",
        Observer._follow,
        "if track.member is None or member.beat > track.member.beat:",
        "if True:",
        scenarios.late_put_of_a_dead_node,
    ),
    Bite(
        "a record that changes at all is not silent",
        Observer._follow,
        "if member.beat == track.beat:",
        "if member.beat <= track.beat:",
        scenarios.late_put_hides_the_newer_ones,
    ),
    Bite(
        "a participant is judged by its own patience, even without a record",
        Observer._miss,
        "_Track(None, seat.dead_after, ",
        "_Track(None, 7.5 * self._gap, ",
        scenarios.record_of_a_slow_participant_is_lost_at_a_takeover,
    ),
    Bite(
        "records of those long silent are removed",
        Node._coordinate,
        "for node in sight.forgotten:",
        "for node in ():",
        scenarios.records_of_the_dead_are_removed,
    ),
    Bite(
        "a used ticket is spent",
        decision._spend,
        "return state.spent | {seat.node: max(seat.ticket, state.spent.get(seat.node, 0)) for seat in seats}",
        "return state.spent",
        scenarios.paused_participant_returns_with_an_old_ask,
    ),
    Bite(
        "spent tickets only rise",
        decision._spend,
        "max(seat.ticket, state.spent.get(seat.node, 0))",
        "seat.ticket",
        scenarios.participant_asks_anew_and_gives_that_up,
    ),
    Bite(
        "who finds its ticket spent asks with a new one",
        Node._settle,
        "elif state.has_spent(me.node, me.ticket):\n        self._new_ticket()",
        "elif False:\n        pass",
        scenarios.paused_participant_returns_with_an_old_ask,
    ),
    Bite(
        "a seat belongs to one ticket",
        State.rank,
        "return rank if seat.ticket == ticket else None",
        "return rank",
        scenarios.participants_go_before_spares,
    ),
    Bite(
        "who is gone stays gone",
        decision._note_departures,
        "gone: dict[str, Departure] = {}",
        "gone: dict[str, Departure] = {}; state = replace(state, gone={}, spent={})",
        scenarios.evicted_participant_stays_gone,
    ),
    Bite(
        "asking again is leaving",
        decision._note_departures,
        "if member is not None and member.ticket > seat.ticket:",
        "if False:",
        scenarios.participants_go_before_spares,
    ),
    Bite(
        "who is done keeps its seat",
        decision.decide,
        'taken = len(active) + sum(reason == "done" for reason in state.gone.values())',
        "taken = len(active)",
        scenarios.participants_are_done,
    ),
    Bite(
        "a run whose participants are all done closes",
        decision.withdraw,
        "return close(state) if finished else state",
        "return state",
        scenarios.participants_are_done,
    ),
    Bite(
        "last call is given at min",
        decision._complete_if_possible,
        "and not (last_call_over and state.last_call)",
        "and False",
        scenarios.newcomers_use_the_last_call,
    ),
    Bite(
        "last call ends below min",
        decision._complete_if_possible,
        "return replace(state, last_call=None)",
        "return state",
        scenarios.members_flap_around_min,
    ),
    Bite(
        "last call goes on while nobody has yet proved itself alive to a new coordinator",
        decision._asks,
        "if node not in sight.dead",
        "if node in sight.fresh",
        scenarios.last_call_goes_on_over_a_takeover,
    ),
    Bite(
        "last call runs from when it was first seen",
        Node._see,
        "if former is None or former.last_call != state.last_call:",
        "if former is None or former.last_call != state.last_call or former.term != state.term:",
        scenarios.last_call_goes_on_over_a_takeover,
    ),
    Bite(
        "participants go before spares",
        decision._complete_if_possible,
        "member.node not in participants, ",
        "",
        scenarios.participants_go_before_spares,
    ),
    Bite(
        "the oldest ask goes first",
        decision._complete_if_possible,
        "member.asked, ",
        "",
        scenarios.spares_wait_in_line,
    ),
    Bite(
        "a first ask is as old as the first state it saw",
        Node._see,
        "if former is None:",
        "if False:",
        scenarios.spares_wait_in_line,
    ),
    Bite(
        "whoever has seen a later round is waited for",
        decision._complete_if_possible,
        "if not seen.keys() <= sight.dead:",
        "if False:",
        scenarios.state_is_rolled_back_while_a_participant_is_away,
    ),
    Bite(
        "a round's number is above all that were seen",
        decision._complete_if_possible,
        "round=max([state.round, *(round_seen + 1 for round_seen in seen.values())]),",
        "round=state.round,",
        scenarios.state_is_rolled_back_and_its_participants_die,
    ),
    Bite(
        "a state below the newest seen is restored",
        Node._is_older,
        "state.age < self.state.age",
        "False",
        scenarios.state_is_rolled_back,
    ),
    Bite(
        "a state that is lost is restored",
        Node._restored,
        "if self.state is None or self._mismatched():",
        "if True:",
        scenarios.state_is_lost,
    ),
    Bite(
        "the serial tells the newer state of one round",
        State.__dict__["age"].fget,
        'self.phase == "complete", self.serial)',
        'self.phase == "complete", 0)',
        scenarios.state_is_rolled_back_within_a_round,
    ),
    Bite(
        "every write raises the serial",
        Node._write,
        "serial = max(state.serial, self.state.serial if self.state else 0) + 1",
        "serial = state.serial + (state.phase == 'complete')",
        scenarios.content_serves_as_token,
    ),
    Bite(
        "closed is never older",
        State.__dict__["age"].fget,
        '(self.phase == "closed", ',
        "(False, ",
        scenarios.closed_run_is_rolled_back,
    ),
    Bite(
        "a withdrawal is over when the ticket is spent",
        Node._settle,
        "or state.has_spent(me.node, me.ticket)\n",
        "or True\n",
        scenarios.ask_is_given_up,
    ),
    Bite(
        "a cancel is void once ranked",
        decision.withdraw,
        'if intent == "cancel":',
        "if False:",
        scenarios.ask_is_given_up,
    ),
    Bite(
        "a cancel is void once answered, and weakens no leave",
        Node.quit,
        'if intent == "cancel" and (self.outcome is not None or self._quits()):',
        "if False:",
        scenarios.cancel_comes_just_after_the_answer,
    ),
    Bite(
        "a cancel weakens no leave",
        Node.quit,
        " or self._quits()",
        "",
        scenarios.exception_leaves_next_rendezvous,
    ),
    Bite(
        "spent tickets of those long gone are forgotten",
        Node._coordinate,
        "elif len(decided.spent) > _MANY + 2 * len(listed):",
        "elif False:",
        scenarios.given_up_ask_lands_after_its_tickets_were_pruned,
    ),
    Bite(
        "tickets are forgotten only with a new term",
        Node._prune,
        "self._term = self._new_id()",
        "pass",
        scenarios.given_up_ask_lands_after_its_tickets_were_pruned,
    ),
    Bite(
        "a state that stands still makes others take over",
        Node._may_take_over,
        "return self._still >= self._patience()",
        "return False",
        scenarios.coordinator_dies,
    ),
    Bite(
        "the coordinator renews the state",
        Node._coordinate,
        "if decided != state or state.beat != self.member.beat:",
        "if decided != state:",
        scenarios.nothing_happens,
    ),
    Bite(
        "an outage of one's own does not make the state stand still",
        Node._see,
        "min(self.now - self._read_at, 1.25 * self._timing.period)",
        "self.now - self._read_at",
        scenarios.all_hosts_are_suspended,
    ),
    Bite(
        "the state is read again when patience runs out",
        Node._read_due,
        "left if 0 < left < watch else watch",
        "watch",
        scenarios.coordinator_dies,
    ),
    Bite(
        "the silence of the former coordinator is known at takeover",
        Node._claim,
        "if silence and ",
        "if False and ",
        scenarios.coordinator_dies,
    ),
    Bite(
        "who failed as coordinator gives the others a chance",
        Node._patience,
        "1 + self._failed + self._mismatched()",
        "1 + self._mismatched()",
        scenarios.several_coordinators_beat_but_cannot_decide,
    ),
    Bite(
        "a coordinator that leaves appoints an heir",
        Node._coordinate,
        "decided = appoint_heir(decided, sight, self.member.node)",
        "pass",
        scenarios.coordinator_leaves,
    ),
    Bite(
        "the heir is judged by its own beat",
        decision.appoint_heir,
        "coordinator=node, beat=heir.beat",
        "coordinator=node",
        scenarios.heir_beats_once_more_and_dies,
    ),
    Bite(
        "who leaves may coordinate on its way out",
        Node._may_take_over,
        "or self._leads():",
        "or self._leads() or self._quits():",
        scenarios.fifty_nodes_give_up_at_once,
    ),
    Bite(
        "a node of other settings does not join",
        Node._beat,
        "if self._mismatched():",
        "if False:",
        scenarios.node_of_other_settings_is_told,
    ),
    Bite(
        "a node of other settings is told while the group lives",
        Node._settle,
        "if self._moves > 1:",
        "if False:",
        scenarios.node_of_other_settings_is_told,
    ),
    Bite(
        "a node of other settings takes over once the group is dead",
        Node._settle,
        "if self._moves > 1:",
        "if True:",
        scenarios.run_id_is_used_again_with_other_settings,
    ),
    Bite(
        "the nodes of the group take over before those of other settings",
        Node._patience,
        "1 + self._failed + self._mismatched()",
        "1 + self._failed",
        scenarios.node_of_other_settings_waits_while_the_coordinator_dies,
    ),
    Bite(
        "news is announced",
        Node.put,
        "announce, self._news, self._put_at = self._news, False, self.now",
        "announce, self._news, self._put_at = False, False, self.now",
        scenarios.asks_are_heard_at_once,
    ),
    Bite(
        "a record that did not arrive is put again",
        Node.put_failed,
        "self._put_at = _NEVER",
        "pass",
        scenarios.requests_are_lost,
    ),
    Bite(
        "news that did not arrive is announced again",
        Node.put_failed,
        "self._news |= put.announce",
        "pass",
        scenarios.ask_is_lost,
    ),
    Bite(
        "every wait is capped",
        Node._cycle,
        "max(0.0, self._next_duty() - self.now)",
        "1e9",
        scenarios.wake_ups_are_lost_all_the_time,
    ),
    Bite(
        "failures are retried with growing pauses",
        Node.live,
        "yield Rest(min(self._timing.look, 0.01 * 2 ** min(failures, 10)))",
        "yield Rest(0.0)",
        scenarios.backend_is_away_for_longer_than_dead_after,
    ),
    Bite(
        "asks that arrive together are looked at together",
        Node._cycle,
        "yield Rest(self._rest)",
        "pass",
        scenarios.many_come_together,
    ),
    Bite(
        "the more are missing, the longer the coordinator rests",
        Node._cycle,
        "(1 + self._missing / _SHARE)",
        "1",
        scenarios.many_come_together,
    ),
]


def take_out(monkeypatch: pytest.MonkeyPatch, bite: Bite) -> None:
    """Put the code without the rule in the place of the function's."""
    function: FunctionType = bite.function
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(bite.code) == 1, "the row is out of date"
    module: dict[str, Any] = {}
    exec(source.replace(bite.code, bite.without), dict(function.__globals__), module)
    changed = module[function.__name__]
    if isinstance(changed, property):
        changed = changed.fget
    monkeypatch.setattr(function, "__code__", changed.__code__)


@pytest.mark.parametrize("bite", BITES, ids=lambda bite: bite.rule.replace(" ", "-"))
def test_rule_is_needed(bite: Bite, monkeypatch: pytest.MonkeyPatch) -> None:
    take_out(monkeypatch, bite)
    with pytest.raises(Violation):
        tell_often(bite.story.__name__)


def tell_often(name: str) -> None:
    for seed in range(200):
        scenarios.tell(name, seed)
