"""The ledger of a large group: roster, gone and spent in pages, of which a follower reads one (Rule 24).

A page is never overwritten. All pages of a ledger are there before a state names it.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from rendezvous_core.records.ranges import Count, NodeId, Patience, Round
from rendezvous_core.records.state import Apart, Departure, Seat, State

PAGE = 64
"""A ledger of so many nodes is in the state itself; a longer one has about so many on each page."""

HEIRS = 3
"""The participants of so many of the first ranks have the ledger whole, besides the coordinator."""


class Entry(Struct, frozen=True, array_like=True):
    """What the ledger says of one node."""

    spent: Count = 0
    rank: Round = -1
    """Its rank in the roster; -1 where it has none."""
    ticket: Count = 0
    dead_after: Patience = 1.0
    gone: Departure | None = None


Page = dict[NodeId, Entry]


class Book(NamedTuple):
    """What a follower has looked up."""

    ledger: str = ""
    round_id: str = ""
    nodes: frozenset[str] = frozenset()
    """For whom it has looked."""
    page: Mapping[str, Entry] = MappingProxyType({})

    def rank(self, node: str, ticket: int) -> int | None:
        """As `State.rank`, for one of `nodes`."""
        entry = self.page.get(node)
        won = entry is not None and entry.rank >= 0 and entry.ticket == ticket and not entry.gone
        return entry.rank if entry and won else None

    def has_spent(self, node: str, ticket: int) -> bool:
        """As `State.has_spent`, for one of `nodes`."""
        return node in self.page and ticket <= self.page[node].spent


def file(state: State, basis: State, new_id: Callable[[], str], page: int, *, anew: bool) -> State:
    """Say where the ledger of ``state``, which follows from ``basis``, is to be; ``anew``: not where it was.

    A node that has only the head leaves the ledger where it is.
    """
    if not state.is_whole:
        return state
    size = len({seat.node for seat in state.roster} | state.spent.keys())
    if size <= page:
        return replace(state, apart=None)
    ledger, former = (state.roster, state.gone, state.spent), (basis.roster, basis.gone, basis.spent)
    id = basis.apart.id if basis.apart and ledger == former and not anew else new_id()
    return replace(
        state, apart=Apart(id, -(-size // page), len(state.roster), len(state.active()), state.departed)
    )


def pages(state: State) -> Sequence[Page]:
    """The pages of a whole state whose ledger is kept apart."""
    assert state.apart is not None
    count = state.apart.pages
    result: list[Page] = [{} for _ in range(count)]
    gone, spent = state.gone, state.spent
    for rank, (node, ticket, dead_after) in enumerate(map(_fields, state.roster)):
        entry = Entry(spent.get(node, 0), rank, ticket, dead_after, gone.get(node))
        result[number(node, count)][node] = entry
    for node in spent.keys() - {seat.node for seat in state.roster}:
        result[number(node, count)][node] = Entry(spent[node])
    return result


def whole(head: State, pages: Iterable[Page]) -> State | None:
    """Put ``head`` and all pages of its ledger together; ``None`` where they do not belong together."""
    assert head.apart is not None
    entries = {node: entry for page in pages for node, entry in page.items()}
    seated = sorted((entry.rank, node) for node, entry in entries.items() if entry.rank >= 0)
    if [rank for rank, _ in seated] != list(range(head.apart.size)):
        return None
    return replace(
        head,
        roster=tuple(Seat(node, entries[node].ticket, entries[node].dead_after) for _, node in seated),
        gone={node: entry.gone for node, entry in entries.items() if entry.gone},
        spent={node: entry.spent for node, entry in entries.items() if entry.spent},
    )


def completed(head: State, known: State | None) -> State:
    """Put ``head`` and the ledger of ``known`` together, if it is the same."""
    if head.is_whole or known is None or not known.apart or head.apart is None:
        return head
    if head.apart.id != known.apart.id:
        return head
    return replace(head, roster=known.roster, gone=known.gone, spent=known.spent)


def abandoned(head: State) -> State:
    """Go on without a ledger that is lost: the round, whose participants nobody knows, is over."""
    return replace(
        head,
        phase="joining",
        round=head.round + bool(head.round_id and head.phase != "joining"),
        round_id="",
        apart=None,
        waiting=0,
        last_call=None,
        knock=None,
    )


def number(node: str, count: int) -> int:
    """On which of so many pages a node is."""
    return zlib.crc32(node.encode()) % count


def _fields(seat: Seat) -> tuple[str, int, float]:
    return seat.node, seat.ticket, seat.dead_after
