"""Bites out of what is decided."""

from rendezvous_core.protocol import decision
from rendezvous_core.records import changes
from tests.simulation.bites.bite import Bite
from tests.simulation.scenarios import asks, choices, deaths, losses

BITES = [
    Bite(
        "Rule 1: a used ticket is spent",
        changes.spend,
        "return state.spent | {seat.node: max(seat.ticket, state.spent.get(seat.node, 0)) for seat in seats}",
        "return state.spent",
        deaths.paused_participant_returns_with_an_old_ask,
    ),
    Bite(
        "Rule 5: only the fresh are admitted",
        decision._complete_if_possible,
        "asks = [member for member in living if member.node in sight.fresh]",
        "asks = living",
        deaths.all_die_and_the_run_id_starts_again,
    ),
    Bite(
        "Rule 6: last call is given at min",
        decision._complete_if_possible,
        "and not (over.last_call and state.last_call)",
        "and False",
        choices.newcomers_use_the_last_call,
    ),
    Bite(
        "Rule 6: last call ends below min",
        decision._complete_if_possible,
        "return replace(state, last_call=None)",
        "return state",
        choices.members_flap_around_min,
    ),
    Bite(
        "Rule 6: last call goes on while nobody has yet proved itself alive to a new coordinator",
        decision._asks,
        "if node not in sight.dead",
        "if node in sight.fresh",
        choices.last_call_goes_on_over_a_takeover,
    ),
    Bite(
        "Rule 6: participants go before spares",
        decision._complete_if_possible,
        "former.get(member.node, len(former)), ",
        "",
        choices.participants_go_before_spares,
    ),
    Bite(
        "Rule 6: the oldest ask goes first",
        decision._complete_if_possible,
        "member.asked, ",
        "",
        choices.spares_wait_in_line,
    ),
    Bite(
        "Rule 7: who is gone stays gone",
        decision._note_departures,
        "gone: dict[str, Departure] = {}",
        "gone: dict[str, Departure] = {}; state = replace(state, gone={}, spent={})",
        deaths.evicted_participant_stays_gone,
    ),
    Bite(
        "Rule 7: asking again is leaving",
        decision._note_departures,
        "if member is not None and member.ticket > seat.ticket:",
        "if False:",
        choices.participants_go_before_spares,
    ),
    Bite(
        "Rule 7: who is done keeps its seat",
        decision._count_waiting,
        "if len(state.roster) - state.departed >= settings.most:",
        "if active >= settings.most:",
        asks.participants_are_done,
    ),
    Bite(
        "Rule 7: a run whose participants are all done closes",
        changes.withdraw,
        "return close(state) if finished else state",
        "return state",
        asks.participants_are_done,
    ),
    Bite(
        "Rule 9: spent tickets only rise",
        changes.spend,
        "max(seat.ticket, state.spent.get(seat.node, 0))",
        "seat.ticket",
        asks.participant_asks_anew_and_gives_that_up,
    ),
    Bite(
        "Rule 9: a cancel is void once ranked",
        changes.withdraw,
        'if intent == "cancel":',
        "if False:",
        asks.ask_is_given_up,
    ),
    Bite(
        "Rule 10: the heir is judged by its own beat",
        decision.appoint_heir,
        "coordinator=node, beat=heir.beat",
        "coordinator=node",
        asks.heir_beats_once_more_and_dies,
    ),
    Bite(
        "Rule 11: whoever has seen a later round is waited for",
        decision._complete_if_possible,
        "if not seen.keys() <= sight.dead:",
        "if False:",
        losses.state_is_rolled_back_while_a_participant_is_away,
    ),
    Bite(
        "Rule 11: a round's number is above all that were seen",
        decision._complete_if_possible,
        "round=max([state.round, *(round_seen + 1 for round_seen in seen.values())]),",
        "round=state.round,",
        losses.state_is_rolled_back_and_its_participants_die,
    ),
]
