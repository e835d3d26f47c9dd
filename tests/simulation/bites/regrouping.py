"""Bites out of what makes a group form again soon, and as its users want it."""

from rendezvous_core.protocol import decision
from rendezvous_core.protocol.coordinator import Coordinator
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.observation import Observer
from rendezvous_core.records import member
from rendezvous_core.records.state import Settings
from tests.simulation.bites.bite import Bite
from tests.simulation.scenarios import deaths, regrouping

BITES = [
    Bite(
        "Rule 16: where all are called already, nobody is told who is back",
        decision._note_departures,
        "if not state.departed or (len(gone) + len(back) == len(active) and not held):",
        "if True:",
        regrouping.who_is_back_wakes_nobody,
    ),
    Bite(
        "Rule 16: who is back and gives up is noted at once",
        decision._note_departures,
        '(back if member.intent == "join" else gone)',
        "back",
        regrouping.who_is_back_gives_up_while_others_are_called,
    ),
    Bite(
        "Rule 16: those who are called are told of the next round as a whole",
        decision.decide,
        "and not over.settling:",
        "and False:",
        regrouping.survivors_are_told_twice,
    ),
    Bite(
        "Rule 16: where asks keep coming, the next round is held for a look at most",
        Coordinator.decide,
        "min(self.settled_at, self._unsettled + self._timing.look)",
        "self.settled_at",
        regrouping.round_forms_though_asks_keep_coming,
    ),
    Bite(
        "Rule 16: also where each pass shows another ask",
        Coordinator._note_asks,
        "self._unsettled = min(self._unsettled, now)",
        "self._unsettled = now",
        regrouping.round_forms_though_asks_keep_coming,
    ),
    Bite(
        "Rule 15: what a node hears late it does not take for what stands",
        Node._hear,
        "not (looks or self._mismatched())",
        "not self._mismatched()",
        deaths.paused_participant_returns_with_an_old_ask,
    ),
    Bite(
        "Rule 15: who withdraws says so to each new coordinator",
        Node._see,
        " or self._quits()",
        "",
        regrouping.deposed_coordinator_leaves_soon,
    ),
    Bite(
        "Rule 15: what a coordinator asks wakes nobody",
        Node._cycle,
        "beats=is_due or not self._leads()",
        "beats=True",
        regrouping.survivors_are_told_twice,
    ),
    Bite(
        "Rule 15: a coordinator hears of what its node wants",
        Node._is_unheard,
        "self._heard != self._wish()",
        "False",
        regrouping.last_one_goes_on_alone_at_once,
    ),
    Bite(
        "Rule 15: a coordinator knows what its node wants before that is put",
        Observer.look,
        "member if node == self._me else",
        "",
        regrouping.survivors_are_together_again_at_once,
    ),
    Bite(
        "Rule 17: last call ends when nobody is expected",
        decision._complete_if_possible,
        "and not together",
        "",
        regrouping.survivors_are_together_again_at_once,
    ),
    Bite(
        "Rule 17: where it is wanted, last call goes on",
        decision._complete_if_possible,
        'settings.last_call == "expected" and',
        "",
        regrouping.last_call_goes_on_where_all_are_to_wait,
    ),
    Bite(
        "Rule 17: where nobody of the round before is there, everybody may still come",
        decision._complete_if_possible,
        "reforms and",
        "",
        regrouping.run_that_starts_again_waits_for_all,
    ),
    Bite(
        "Rule 17: asks not yet proved fresh are expected",
        decision._complete_if_possible,
        "len(asks) == len(living) and",
        "",
        regrouping.asks_not_yet_proved_are_expected,
    ),
    Bite(
        "Rule 17: those who restart together are waited for",
        decision._complete_if_possible,
        "and over.settling",
        "",
        regrouping.those_who_restart_together_are_in_one_round,
    ),
    Bite(
        "Rule 17: each new ask is followed by a moment of waiting",
        Coordinator._note_asks,
        "self._asks = asks",
        "self._asks |= {(node, ticket) for node in members for ticket in range(9)}",
        regrouping.those_who_restart_together_are_in_one_round,
    ),
    Bite(
        "Rule 17: the coordinator looks when the moment is over",
        Node._next_duty,
        "waits.append(self.coordinator.settled_at)",
        "pass",
        regrouping.survivors_are_together_again_at_once,
    ),
    Bite(
        "Rule 18: newcomers gather",
        decision._count_waiting,
        "grows and state.knock and over.gathering",
        "grows",
        regrouping.newcomers_share_one_restart,
    ),
    Bite(
        "Rule 18: newcomers wait for another reason",
        decision._count_waiting,
        "return replace(state, waiting=0)\n",
        "return replace(state, waiting=fresh)\n",
        regrouping.newcomers_wait_for_another_reason,
    ),
    Bite(
        "Rule 18: the wait of newcomers goes on while they have not yet proved themselves alive",
        decision._count_waiting,
        "if settings.size(active + len(living)) <= active:",
        "if settings.size(active + fresh) <= active:",
        regrouping.newcomers_wait_goes_on_over_a_takeover,
    ),
    Bite(
        "Rule 18: the wait of newcomers runs from when it was first seen",
        Node._see,
        "if former is None or former.knock != state.knock:",
        "if former is None or former.knock != state.knock or former.term != state.term:",
        regrouping.newcomers_wait_goes_on_over_a_takeover,
    ),
    Bite(
        "Rule 18: the coordinator looks when the newcomers have gathered",
        Node._next_duty,
        "waits.append(self._gathering_over())",
        "pass",
        regrouping.newcomers_share_one_restart,
    ),
    Bite(
        "Rule 19: a world size is a multiple",
        Settings.size,
        "size = min(nodes // self.nodes_multiple_of * self.nodes_multiple_of, self.most)",
        "size = min(nodes, self.most)",
        regrouping.world_size_is_a_multiple,
    ),
    Bite(
        "Rule 19: too few for a multiple wait on",
        Settings.__dict__["least"].fget,
        "-(-self.min_nodes // self.nodes_multiple_of) * self.nodes_multiple_of",
        "self.min_nodes",
        regrouping.world_size_is_a_multiple,
    ),
    Bite(
        "Rule 19: who is not proved alive does not make a multiple",
        decision._count_waiting,
        "grows = settings.size(active + fresh) > active",
        "grows = True",
        regrouping.dead_newcomer_does_not_make_a_multiple,
    ),
    Bite(
        "Rule 20: newcomers rank by hint",
        member.order,
        "hint is None, hint or 0, ",
        "",
        regrouping.first_ranks_follow_the_launcher,
    ),
    Bite(
        "Rule 20: newcomers rank by address",
        member.order,
        "natural(member.address), ",
        "",
        regrouping.first_ranks_follow_the_launcher,
    ),
    Bite(
        "Rule 20: node2 is before node10",
        member.order,
        "natural(member.address)",
        "member.address",
        regrouping.first_ranks_follow_the_launcher,
    ),
]
