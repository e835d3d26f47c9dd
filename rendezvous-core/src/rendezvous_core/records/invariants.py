"""What holds of every state, and of every write that follows from another state.

Asserted in production: a state is checked after it is read and before it is written. Pairs are
checked from the state that a decision was based on, never from what a backend comes back with: that
one may have lost writes (Rule 11).
"""

from rendezvous_core.ports.errors import RendezvousStateError
from rendezvous_core.records.state import Phase, State

TRANSITIONS: dict[tuple[Phase, Phase], str] = {
    ("joining", "joining"): "last call is given, or called off",
    ("joining", "complete"): "max_nodes are there, nobody else is expected, or last call is over",
    ("complete", "complete"): "who is gone and who waits is noted, or the next round is there at once",
    ("complete", "joining"): "no participant is active any more",
    ("complete", "closed"): "set_closed, shutdown, or all are done",
    ("joining", "closed"): "set_closed, shutdown",
    ("closed", "closed"): "a failover that undid it is undone",
    ("closed", "joining"): "a node reopens it",
}
"""From which phase a write may lead to which, and why; ``docs/concepts.md`` draws it."""


def check_state(state: State) -> None:
    """Raise `RendezvousStateError` if ``state`` is one that this protocol never writes."""
    if flaw := _flaw(state):
        raise _unsound(flaw, "Use a new run id to go on")


def check_step(old: State, new: State) -> None:
    """Raise `RendezvousStateError` if no node may write ``new`` where ``old`` stands."""
    if flaw := _flaw(new) or _flaw_of_step(old, new):
        raise _unsound(flaw, "Nothing was written")


def _unsound(flaw: str, consequence: str) -> RendezvousStateError:
    return RendezvousStateError(
        f"The state of the rendezvous breaks an invariant: {flaw}. {consequence}, and please report this "
        "as a defect of rendezvous-core, with this message and the releases that all nodes run."
    )


def _flaw(state: State) -> str | None:
    settings, nodes = state.settings, {seat.node for seat in state.roster}
    if not 1 <= settings.least <= settings.most:
        return f"its settings ({settings}) are impossible"
    if len(nodes) != len(state.roster):
        return "a node has two ranks"
    if bool(state.world_size) != bool(state.round_id):
        return "a round without participants, or participants without a round"
    if state.is_whole and not state.gone.keys() <= nodes:
        return "a node is gone that was never in"
    if state.phase != "joining" and state.last_call is not None:
        return f"a last call while {state.phase}"
    if state.phase != "complete" and state.knock is not None:
        return f"newcomers gather while {state.phase}"
    if state.phase != "complete" and state.waiting:
        return f"{state.waiting} wait for the round after one that is {state.phase}"
    if state.phase == "joining" and state.gone:
        return "nodes are gone from a round that is over"
    if state.phase == "complete":
        if not state.still_active:
            return "a round is complete in which nobody is active"
        gone, spent = state.gone, state.spent
        for seat in state.roster:
            if seat.ticket <= spent.get(seat.node, 0) and seat.node not in gone:
                return f"the active participant {seat.node} has spent its ticket {seat.ticket}"
    return None


def _flaw_of_step(old: State, new: State) -> str | None:
    if new.run != old.run:
        return f"the run '{old.run}' became the run '{new.run}'"
    if (old.phase, new.phase) not in TRANSITIONS:
        return f"{old.phase} became {new.phase}"
    if new.reopened - old.reopened != ((old.phase, new.phase) == ("closed", "joining")):
        return f"{old.phase} became {new.phase} as the run was reopened {new.reopened - old.reopened} times"
    if new.serial <= old.serial or new.age <= old.age:
        return f"the state went back from {old.age} to {new.age}"
    if new.term == old.term and new.settings != old.settings:
        return "the settings changed within a term"
    lowered = _lowered(old, new)
    if lowered is not None:
        return f"the spent ticket {old.spent[lowered]} of {lowered} came back"
    if new.is_whole and not old.is_whole:
        return None  # its ledger is lost
    if new.round_id == old.round_id:
        return _flaw_within_round(old, new)
    return _flaw_of_completion(old, new)


def _lowered(old: State, new: State) -> str | None:
    """Name a node whose ticket counts as unspent again; only a new term may forget it (Rule 14)."""
    if new.spent is old.spent:
        return None
    forgets = new.term != old.term
    for node, ticket in old.spent.items():
        if new.spent.get(node, ticket if forgets else 0) < ticket:
            return node
    return None


def _flaw_within_round(old: State, new: State) -> str | None:
    if new.roster != old.roster:
        return f"the roster of round {old.round} changed"
    if new.phase == old.phase and not old.gone.items() <= new.gone.items():
        return f"somebody who was gone is back in round {old.round}"
    if new.phase == "joining" != old.phase:
        return _still_inside(old, new)
    return None


def _flaw_of_completion(old: State, new: State) -> str | None:
    settings = new.settings
    if new.phase != "complete":
        return f"a round has formed while {new.phase}"
    if settings.size(len(new.roster)) != len(new.roster):
        return f"{len(new.roster)} nodes are in a round of {settings}"
    return _still_inside(old, new) if old.phase == "complete" else None


def _still_inside(old: State, new: State) -> str | None:
    """Whoever leaves a round behind has spent its ticket: exclusivity."""
    for seat in old.roster:
        if not new.has_spent(seat.node, seat.ticket):
            return f"round {old.round} is over, but {seat.node} keeps its ticket {seat.ticket}"
    return None
