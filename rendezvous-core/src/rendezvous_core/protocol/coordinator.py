"""What a node does in its time as coordinator: claims it, observes the others, decides."""

import math
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from rendezvous_core.protocol.decision import Over, Sight, appoint_heir, decide
from rendezvous_core.protocol.observation import Observer
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import State
from rendezvous_core.records.terms import Terms

_SHARE = 8
"""For so many missing nodes, a rest may be longer by the time of one pass."""

_MANY = 64
"""Spent tickets are pruned when there are this many more than twice the members."""


class Coordinator:
    """One node's terms in office, one after the other."""

    def __init__(self, node: str, terms: Terms, new_id: Callable[[], str]) -> None:
        self._node, self._settings, self._timing = node, terms.settings, terms.timing
        self.new_id, self._ranks = new_id, terms.ranks
        self._term: str | None = None
        self.observer = self._new_observer(0.0)
        self._asks: set[tuple[str, int]] = set()
        self._passed = False
        self._unsettled = math.inf
        """Since when asks have come one soon after the other."""
        self._missing = self._missing_before = 0
        """How many are missing, and an eighth of those that were at the latest rest."""
        self._rest = 0.0
        self.failed = False
        """Whether the node was deposed without having finished a pass (Rule 10)."""
        self.settled_at = 0.0
        """When no new ask will have come for a moment (Rule 17)."""
        self.members: Mapping[str, Member] = {}
        """Everybody, as of the latest pass."""
        self.dead: AbstractSet[str] = frozenset()
        self.forgotten: list[str] = []
        """Nodes whose records are of no more use, as of the latest pass."""

    def leads(self, state: State | None) -> bool:
        """Whether ``state`` is one of the node's present term."""
        return (
            state is not None
            and state.phase != "closed"
            and (state.coordinator, state.term) == (self._node, self._term)
        )

    def claim(self, state: State, silence: float, now: float) -> State:
        """Return ``state`` under a new term of this node's, the former coordinator silent so long."""
        self._term, self._passed, self.observer = self.new_id(), False, self._new_observer(now)
        self._asks, self._unsettled = set(), math.inf
        if silence and state.coordinator not in (None, self._node):
            self.observer.expect(state.coordinator, state.beat, silence)
        return replace(
            state,
            coordinator=self._node,
            term=self._term,
            lease=self._timing.dead_after,
            settings=self._settings,
        )

    def see(self, former: State | None, state: State) -> None:
        """Notice that the node was deposed."""
        if self.leads(former) and not self.leads(state) and not self._passed:
            self.failed = True

    def is_missed(self, state: State, listed: Mapping[str, Member]) -> bool:
        """Whether somebody found a page of the ledger missing, which this node still has (Rule 24)."""
        return state.apart is not None and any(member.misses == state.apart.id for member in listed.values())

    def decide(
        self,
        state: State,
        me: Member,
        listed: Mapping[str, Member],
        asked: float,
        now: float,
        over: Over,
    ) -> State:
        """Return the state that should stand after ``state``, by a listing asked for at ``asked``."""
        everybody = {**listed, self._node: me}
        sight = self.observer.look(everybody, state.active(), state.term, asked, now)
        self._note_asks(everybody, asked)
        self.members, self.dead = everybody, sight.dead
        over = over._replace(settling=asked >= min(self.settled_at, self._unsettled + self._timing.look))
        decided = decide(state, sight, over, new_id=self.new_id, ranks=self._ranks)
        if me.intent != "join" and decided.has_spent(me.node, me.ticket):
            decided = appoint_heir(decided, sight)
        elif len(decided.spent) > _MANY + 2 * len(listed):
            decided = self._prune(decided, listed)
        self._missing = self._count_missing(decided, sight)
        self.forgotten = list(sight.forgotten)
        return decided

    def _count_missing(self, state: State, sight: Sight) -> int:
        """How many have to come before there can be a next round, for the sake of its pace (Rule 16).

        Of those who are called from a round that runs, an eighth: what they ask wakes this node alone.
        """
        if state.phase == "joining":
            return max(0, state.settings.least - len(sight.fresh))
        if not state.departed:
            return 0
        here = {(node, member.ticket) for node, member in sight.members.items()}
        return sum((seat.node, seat.ticket) in here for seat in state.active()) // _SHARE

    def _note_asks(self, members: Mapping[str, Member], now: float) -> None:
        asks = {(node, member.ticket) for node, member in members.items() if member.intent == "join"}
        if not asks <= self._asks:
            self._unsettled = min(self._unsettled, now)
            self.settled_at = now + self._timing.settle
        elif now >= self.settled_at:
            self._unsettled = math.inf
        self._asks = asks

    def note_pass(self) -> None:
        """Note that the node can decide, and in time: what it decided stands."""
        self._passed, self.failed = True, False

    def rest(self, took: float) -> float:
        """For how long to rest after a pass that took so long, so that asks are decided together (Rule 16).

        As long as the pass took, and twice as long each time while so many are missing that the next
        ones cannot complete the round, but at most half as long as they take to come, at their pace.
        """
        most = took * (1 + self._missing / _SHARE)
        missing = self._missing // _SHARE
        if (came := self._missing_before - missing) > 0:
            most = min(most, (self._rest + took) * missing / came / 2)
        self._missing_before = missing
        self._rest = min(max(took, min(2 * self._rest, most)), self._timing.look)
        return self._rest

    def _new_observer(self, now: float) -> Observer:
        return Observer(self._node, 2 * self._timing.look, now)

    def _prune(self, state: State, listed: Mapping[str, Member]) -> State:
        """Forget the tickets of nodes long gone; a new term keeps their late puts from counting (Rule 14)."""
        keep = listed.keys() | {seat.node for seat in state.roster}
        spent = {node: ticket for node, ticket in state.spent.items() if node in keep}
        self._term = self.new_id()
        return replace(state, spent=spent, term=self._term)
