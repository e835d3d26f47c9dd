"""What a node wants of its run, and what it is told."""

from typing import NamedTuple

from msgspec.structs import replace

from rendezvous_core.ports import refusals
from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousError
from rendezvous_core.records.ledger import HEIRS, Book
from rendezvous_core.records.member import Intent, Member
from rendezvous_core.records.state import State
from rendezvous_core.records.terms import Terms

_NEVER = float("inf")


class Joined(NamedTuple):
    """The round that a node is part of."""

    round: int
    round_id: str
    rank: int
    world_size: int


class Participant:
    """Holds the latest ask of one node against the latest state that the node has seen."""

    def __init__(self, member: Member, terms: Terms) -> None:
        self.member = member
        self.outcome: Joined | RendezvousError | None = None
        """The answer to the latest ask."""
        self.joined: Joined | None = None
        """The round that the latest ask won."""
        self.finished = True
        """Whether the node has no business in the run."""
        self.state: State | None = None
        self.trouble: RendezvousConnectionError | None = None
        """Why the backend cannot be reached, while it cannot."""

        self._run, self._settings = terms.run, terms.settings
        self._reopens, self._has_id = terms.reopens, terms.has_id
        self._opening: int | None = None
        """How often the run had been reopened when this node first saw it open."""
        self._drains: dict[str, tuple[float, float]] = {}
        """The nodes that are to go: in how many seconds, as that was noted, and when by this node's clock."""
        self._goes_at = _NEVER
        """When this node is to go; it takes part in no other round until it is asked again."""
        self._news = False
        self._spare = False
        self._moves = 0
        """How often the state moved since the ask."""
        self._book = Book()
        self._is_heir = False
        """Whether this node keeps the whole ledger, if another one coordinates (Rule 24)."""

    def ask(self) -> None:
        """Ask for a place in the next round; leaves the round that the node is in."""
        if self.finished:
            self._opening = None
        self.outcome = self.joined = None
        self.finished = self._spare = False
        self._moves = 0
        self._new_ticket()
        self._settle()

    def quit(self, intent: Intent) -> None:
        """Withdraw the present ask (``cancel``), or also from the round it won (``leave``, ``done``)."""
        if intent == "cancel" and (self.outcome is not None or self._quits()):
            return
        self.member = replace(self.member, intent=intent)
        self._news = True
        self._settle()

    def refuse(self, error: RendezvousError) -> None:
        """Answer the present ask with an error; the node has no more business in the run."""
        self.outcome, self.finished = error, True

    @property
    def nodes_waiting(self) -> int:
        """How many nodes wait for a new round, or how many departures call for one (Rule 8)."""
        state = self.state
        if state is None or self.joined is None or self.is_closed:
            return 0
        over = state.phase == "joining" or state.round_id != self.joined.round_id
        if over or self.member.node in state.gone:
            return max(1, state.waiting)
        return max(state.waiting, state.departed)

    @property
    def is_closed(self) -> bool:
        """Whether the run is closed to this node: also if others have reopened it since (Rule 21)."""
        state = self.state
        if state is None:
            return False
        return state.phase == "closed" or self._opening not in (None, state.reopened)

    def _may_reopen(self) -> bool:
        """Whether an open ask begins the run anew: it was closed before the node came (Rule 21)."""
        return self._reopens and self._opening is None and self.is_closed

    @property
    def leaving(self) -> dict[int, float]:
        """The ranks in the node's present round that are to go, and when by its clock (Rule 23)."""
        state, drains = self.state, self._drains
        if not drains or state is None or self.joined is None or self._quits():
            return {}
        if state.phase != "complete" or state.round_id != self.joined.round_id:
            return {}
        if not state.is_whole:
            page = self._book.page if self._book.round_id == state.round_id else {}
            there = {node: entry for node, entry in page.items() if node in drains}
            return {
                each.rank: drains[node][1] for node, each in there.items() if each.rank >= 0 and not each.gone
            }
        return {
            rank: drains[seat.node][1]
            for rank, seat in enumerate(state.roster)
            if seat.node in drains and seat.node not in state.gone
        }

    def _quits(self) -> bool:
        return self.member.intent != "join"

    def _mismatched(self) -> bool:
        """Whether the state is that of a group with other settings (Rule 13)."""
        state = self.state
        return state is not None and state.phase != "closed" and state.settings != self._settings

    def _new_ticket(self) -> None:
        asked = self.state.serial if self.state else 0
        ticket = self.member.ticket + 1
        self.member = replace(self.member, ticket=ticket, intent="join", asked=asked, holds="")
        self._news = True

    def _questions(self) -> frozenset[str]:
        """For whom this node has to look into a ledger that it does not have (Rule 24)."""
        state, book, me = self.state, self._book, self.member.node
        if state is None or state.is_whole or not state.apart or self._mismatched():
            return frozenset()
        is_of_round = book.round_id == state.round_id
        if self._quits() or (self.outcome is None and not self.is_closed):
            is_open = book.ledger != state.apart.id
            if is_of_round and state.phase == "complete" and not self._quits():
                # Within a round, an ask that did not win a place stands until its node gives it up.
                is_open = is_open and self._goes_at < _NEVER
        else:
            is_open = bool(self._drains) and not (is_of_round and self._drains.keys() <= book.nodes)
        return frozenset((me, *self._drains)) if is_open else frozenset()

    def _settle(self) -> None:
        """Hold the present ask against the present state (Rules 1, 9, 12 and 13)."""
        state, me = self.state, self.member
        if state is None or self.finished:
            return
        book: State | Book = state
        is_told = state.is_whole
        if not state.is_whole and state.apart:
            is_told = self._book.ledger == state.apart.id
            book = self._book if is_told else Book()
        rank = book.rank(me.node, me.ticket) if state.phase == "complete" else None
        has_spent = book.has_spent(me.node, me.ticket)
        if self._opening is None and state.phase != "closed":
            self._opening = state.reopened
        if self._quits() and (self.is_closed or self._mismatched() or has_spent):
            self.finished = True
        elif self.outcome is not None:
            return
        elif self.is_closed:
            if not self._may_reopen():
                self.refuse(refusals.closed(self._run, stood_by=self._spare, has_id=self._has_id))
        elif self._goes_at < _NEVER and is_told and rank is None:
            self._goes_at = _NEVER
            self.outcome = refusals.drains(self._run)
            self.quit("leave")
        elif self._mismatched():
            if self._moves > 1:
                difference = self._settings.difference(state.settings)
                self.refuse(refusals.differs(self._run, difference, has_id=self._has_id))
        elif me.intent in ("join", "cancel") and rank is not None:
            self.member = replace(me, intent="join", holds=state.round_id)
            self.outcome = self.joined = Joined(state.round, state.round_id, rank, state.world_size)
            self._is_heir = rank < HEIRS
        elif has_spent:
            self._new_ticket()
        elif state.phase == "complete" and is_told:
            self._spare = True
