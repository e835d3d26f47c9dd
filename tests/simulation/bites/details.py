"""Bites that no story tells for certain; each is noticed by one test of ``test_details.py``."""

from rendezvous_core.protocol import decision
from rendezvous_core.protocol.coordinator import Coordinator
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.participant import Participant
from tests.simulation import test_details as details
from tests.simulation.bites.bite import Bite

DETAILS = [
    Bite(
        "Rule 6: later asks are ordered as well",
        Participant._new_ticket,
        "asked=asked, ",
        "",
        details.test_every_ask_tells_how_new_a_state_its_node_had_seen,
    ),
    Bite(
        "Rule 7: asks not proved fresh do not count as waiting",
        decision._count_waiting,
        "fresh = sum(member.node in sight.fresh for member in living)",
        "fresh = len(living)",
        details.test_asks_not_proved_fresh_do_not_count_as_waiting,
    ),
    Bite(
        "Rule 10: no heir is dead",
        decision.appoint_heir,
        " and node not in sight.dead",
        "",
        details.test_heir_is_alive,
    ),
    Bite(
        "Rule 14: the tickets of participants are kept",
        Coordinator._prune,
        " | {seat.node for seat in state.roster}",
        "",
        details.test_spent_tickets_of_participants_are_kept,
    ),
    Bite(
        "Rule 11: an older state is not closed",
        Node._standing,
        " or self._is_older(state)",
        "",
        details.test_closing_keeps_what_a_node_saw_of_a_round_that_was_rolled_back,
    ),
    Bite(
        "Rule 10: the mark of who was deposed without a pass is taken away",
        Coordinator.note_pass,
        "self._passed, self.failed = True, False",
        "self._passed = True",
        details.test_who_finished_a_pass_is_patient_as_others_again,
    ),
    Bite(
        "Rule 13: a node of other settings may go at once",
        Participant._settle,
        "self.is_closed or self._mismatched() or has_spent",
        "self.is_closed or has_spent",
        details.test_node_of_other_settings_may_go_at_once,
    ),
    Bite(
        "The state of another run is refused",
        Node._see,
        "if state.run != self._run:",
        "if False:",
        details.test_state_of_another_run_is_refused,
    ),
    Bite(
        "Rule 9: who is out removes its record",
        Node.live,
        "yield Remove(self.member.node)",
        "pass",
        details.test_record_is_removed_when_its_node_is_out,
    ),
    Bite(
        "Rule 7: who asks again has left, though it is silent",
        decision._note_departures,
        "member.ticket > seat.ticket:",
        "member.ticket > seat.ticket and seat.node not in sight.dead:",
        details.test_who_asks_again_has_left_though_it_is_silent,
    ),
]
