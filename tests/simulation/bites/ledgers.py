"""Bites out of what a large group does with its ledger."""

from rendezvous_core.protocol.coordinator import Coordinator
from rendezvous_core.protocol.decision import _asks
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.participant import Participant
from tests.simulation.bites.bite import Bite
from tests.simulation.scenarios import ledgers

BITES = [
    Bite(
        "Rule 24: a ledger is there before the state that names it",
        Node._write,
        "if filed:\n",
        "if False:\n",
        ledgers.ledgers_are_dropped,
    ),
    Bite(
        "Rule 24: the first ranks have the ledger too",
        Participant._settle,
        "self._is_heir = rank < HEIRS",
        "pass",
        ledgers.all_is_lost_with_the_coordinator,
    ),
    Bite(
        "Rule 24: those who have the ledger take over first",
        Node._patience,
        "late = 0.0 if state.is_whole else self._timing.look",
        "late = 0.0",
        ledgers.ledger_and_coordinator_are_lost,
    ),
    Bite(
        "Rule 24: those who have the ledger bring back a lost state first",
        Node._read,
        "elif not state.is_whole and not self._has_waited():",
        "elif False:",
        ledgers.all_is_lost_with_the_coordinator,
    ),
    Bite(
        "Rule 24: who finds its page missing says so",
        Node._miss,
        "elif self.member.misses != ledger:",
        "elif False:",
        ledgers.ledger_is_lost_before_it_is_read,
    ),
    Bite(
        "Rule 24: a ledger that is missed is written anew",
        Coordinator.is_missed,
        "return state.apart is not None and",
        "return False and",
        ledgers.ledger_is_lost_before_it_is_read,
    ),
    Bite(
        "Rule 24: a round of which nobody knows who is in it is over",
        Node._load,
        "loaded = abandoned(state)",
        "pass",
        ledgers.ledger_is_lost_with_all_who_have_it,
    ),
    Bite(
        "Rule 24: who has a place does not ask for one",
        _asks,
        "and not member.holds",
        "",
        ledgers.participants_of_a_round_that_nobody_knows_are_no_asks,
    ),
    Bite(
        "Rule 24: a ledger is dropped once another one stands",
        Node._write,
        "if doomed and doomed != standing.apart:",
        "if False:",
        ledgers.ledgers_are_dropped,
    ),
    Bite(
        "Rule 24: whoever is refused drops its own ledger, and no other",
        Node._write,
        "doomed = basis.apart if written else filed",
        "doomed = basis.apart",
        ledgers.deposed_coordinator_writes_a_ledger,
    ),
    Bite(
        "Rule 24: who follows looks for itself alone",
        Participant._questions,
        "if is_of_round and",
        "if False and",
        ledgers.asks_of_a_running_round_read_nothing,
    ),
]
