"""Bites out of what a node wants and is told."""

from rendezvous_core.protocol.participant import Participant
from rendezvous_core.records.state import State
from tests.simulation.bites.bite import Bite
from tests.simulation.scenarios import asks, choices, deaths, settings

BITES = [
    Bite(
        "Rule 1: who finds its ticket spent asks with a new one",
        Participant._settle,
        "elif has_spent:\n        self._new_ticket()",
        "elif False:\n        pass",
        deaths.paused_participant_returns_with_an_old_ask,
    ),
    Bite(
        "Rule 1: a seat belongs to one ticket",
        State.rank,
        "return rank if seat.ticket == ticket else None",
        "return rank",
        choices.participants_go_before_spares,
    ),
    Bite(
        "Rule 8: a departure calls for a new round",
        Participant.__dict__["nodes_waiting"].fget,
        "max(state.waiting, state.departed)",
        "state.waiting",
        deaths.evicted_participant_stays_gone,
    ),
    Bite(
        "Rule 8: who is done calls nobody",
        State.__dict__["departed"].fget,
        'reason != "done"',
        "True",
        asks.participants_are_done,
    ),
    Bite(
        "Rule 8: a round that is over calls for a new one",
        Participant.__dict__["nodes_waiting"].fget,
        "if over or self.member.node in state.gone:",
        "if False:",
        asks.cancel_comes_just_after_the_answer,
    ),
    Bite(
        "Rule 9: a withdrawal is over when the ticket is spent",
        Participant._settle,
        "or has_spent):",
        "or True):",
        asks.ask_is_given_up,
    ),
    Bite(
        "Rule 9: a cancel is void once answered, and weakens no leave",
        Participant.quit,
        'if intent == "cancel" and (self.outcome is not None or self._quits()):',
        "if False:",
        asks.cancel_comes_just_after_the_answer,
    ),
    Bite(
        "Rule 9: a cancel weakens no leave",
        Participant.quit,
        " or self._quits()",
        "",
        asks.exception_leaves_next_rendezvous,
    ),
    Bite(
        "Rule 13: a node of other settings is told while the group lives",
        Participant._settle,
        "if self._moves > 1:",
        "if False:",
        settings.node_of_other_settings_is_told,
    ),
    Bite(
        "Rule 13: a node of other settings takes over once the group is dead",
        Participant._settle,
        "if self._moves > 1:",
        "if True:",
        settings.run_id_is_used_again_with_other_settings,
    ),
]
