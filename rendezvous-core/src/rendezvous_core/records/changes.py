"""What becomes of a state by the wish of one node."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from rendezvous_core.records.member import Intent
from rendezvous_core.records.state import Seat, State


def withdraw(state: State, node: str, ticket: int, intent: Intent) -> State:
    """Return the state without this ask, or without this participant (Rule 9).

    When all participants are done, the run is closed; closed stays as it is.
    """
    if state.phase == "closed" or state.has_spent(node, ticket):
        return state
    spent = state.spent | {node: ticket}
    if state.rank(node, ticket) is None:
        return replace(state, spent=spent)
    if intent == "cancel":
        return state
    gone = state.gone | {node: "done" if intent == "done" else "left"}
    state = replace(state, spent=spent, gone=gone)
    finished = len(gone) == len(state.roster) and set(gone.values()) == {"done"}
    return close(state) if finished else state


def spend(state: State, seats: Iterable[Seat]) -> dict[str, int]:
    """The tickets spent with those of ``seats``; a participant may have given up a later one."""
    return state.spent | {seat.node: max(seat.ticket, state.spent.get(seat.node, 0)) for seat in seats}


def drain(state: State, nodes: Mapping[str, float]) -> State:
    """Note that nodes are to go in so many seconds (Rule 23)."""
    return state if state.phase == "closed" else replace(state, draining={**state.draining, **nodes})


def undrain(state: State, nodes: AbstractSet[str]) -> State:
    """Forget that nodes were to go: they have, or they are asked back."""
    if not state.draining.keys() & nodes:
        return state
    return replace(state, draining={node: left for node, left in state.draining.items() if node not in nodes})


def close(state: State) -> State:
    """Return the closed state (Rule 12). It keeps the roster: those inside may finish."""
    return replace(state, phase="closed", draining={}, waiting=0, last_call=None, knock=None)


def reopen(state: State) -> State:
    """Return the closed ``state`` with a next round to form (Rule 21). Nobody of before is in it, or asks."""
    return replace(
        state,
        reopened=state.reopened + 1,
        phase="joining",
        round=state.round + bool(state.round_id),
        gone={},
        spent=spend(state, state.roster),
        coordinator=None,
        began=0.0,
    )
