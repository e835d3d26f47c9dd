"""Bites out of what a node does in office."""

from rendezvous_core.protocol.coordinator import Coordinator
from tests.simulation.bites.bite import Bite
from tests.simulation.scenarios import asks, deaths, messages

BITES = [
    Bite(
        "Rule 10: a term is named anew at every takeover",
        Coordinator.claim,
        "self._term, self._passed, self.observer = self.new_id(),",
        "self._term, self._passed, self.observer = 'term',",
        deaths.all_die_and_the_run_id_starts_again,
    ),
    Bite(
        "Rule 10: the silence of the former coordinator is known at takeover",
        Coordinator.claim,
        "if silence and ",
        "if False and ",
        deaths.coordinator_dies,
    ),
    Bite(
        "Rule 10: a coordinator that leaves appoints an heir",
        Coordinator.decide,
        "decided = appoint_heir(decided, sight)",
        "pass",
        asks.coordinator_leaves,
    ),
    Bite(
        "Rule 14: spent tickets of those long gone are forgotten",
        Coordinator.decide,
        "elif len(decided.spent) > _MANY + 2 * len(listed):",
        "elif False:",
        messages.given_up_ask_lands_after_its_tickets_were_pruned,
    ),
    Bite(
        "Rule 14: tickets are forgotten only with a new term",
        Coordinator._prune,
        "self._term = self.new_id()",
        "pass",
        messages.given_up_ask_lands_after_its_tickets_were_pruned,
    ),
    Bite(
        "Rule 16: the more are missing, the longer the coordinator rests",
        Coordinator.rest,
        "(1 + self._missing / _SHARE)",
        "1",
        messages.many_come_together,
    ),
    Bite(
        "Rule 16: but for no longer than they take to come",
        Coordinator.rest,
        "if (came := self._missing_before - missing) > 0:",
        "if (came := self._missing_before - missing) < 0:",
        messages.last_of_many_is_not_kept_waiting,
    ),
]
