"""Bites out of the use of a run id again."""

from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.participant import Participant
from rendezvous_core.records.changes import reopen
from rendezvous_core.records.state import State
from tests.simulation.bites.bite import Bite
from tests.simulation.scenarios import reopening

BITES = [
    Bite(
        "Rule 21: to those of before a reopened run stays closed",
        Participant.__dict__["is_closed"].fget,
        " or self._opening not in (None, state.reopened)",
        "",
        reopening.closed_run_is_reopened_while_some_are_at_work,
    ),
    Bite(
        "Rule 21: nobody of before asks",
        reopen,
        "spent=spend(state, state.roster)",
        "spent=state.spent",
        reopening.closed_run_is_reopened_while_some_are_at_work,
    ),
    Bite(
        "Rule 21: who saw the run open does not reopen it",
        Participant._may_reopen,
        " and self._opening is None",
        "",
        reopening.waiting_node_does_not_reopen,
    ),
    Bite(
        "Rule 21: the state of a reopened run is newer",
        State.__dict__["age"].fget,
        "self.reopened, ",
        "",
        reopening.state_of_a_reopened_run_is_lost,
    ),
    Bite(
        "Rule 22: without an id nobody stands by",
        Node._check_room,
        "self.refuse(refusals.full(self._run))",
        "pass",
        reopening.two_jobs_without_an_id_meet,
    ),
    Bite(
        "Rule 22: a dead participant is found first",
        Node._check_room,
        "1.5 * max(state.lease, self.member.dead_after)",
        "0.5",
        reopening.node_without_an_id_takes_the_place_of_a_dead_one,
    ),
]
