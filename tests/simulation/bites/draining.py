"""Bites out of how nodes go that said so ahead."""

from rendezvous_core.protocol import decision
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.participant import Participant
from tests.simulation.bites.bite import Bite
from tests.simulation.scenarios import draining

BITES = [
    Bite(
        "Rule 23: a participant goes at its deadline",
        Node._cycle,
        "self.now >= self._goes_at and",
        "False and",
        draining.participant_drains,
    ),
    Bite(
        "Rule 23: it wakes up for that",
        Node._next_duty,
        "duties.append(self._goes_at)",
        "pass",
        draining.participant_drains,
    ),
    Bite(
        "Rule 23: what has happened is forgotten",
        decision.decide,
        "state.draining.keys() - present",
        "set()",
        draining.participant_drains,
    ),
    Bite(
        "Rule 23: who drains is not chosen",
        decision._asks,
        "and node not in state.draining",
        "",
        draining.place_gets_free_for_a_spare_that_drains,
    ),
    Bite(
        "Rule 23: nor does it ask",
        Participant._settle,
        "elif self._goes_at < _NEVER and",
        "elif False and",
        draining.coordinator_drains_and_others_die,
    ),
    Bite(
        "Rule 23: until it is asked back",
        Node._cycle,
        "if self.outcome is None and me in state.draining and not self._quits():",
        "if False:",
        draining.drained_node_is_asked_back,
    ),
]
