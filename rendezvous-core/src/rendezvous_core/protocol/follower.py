"""What a node knows of its run: it reads and writes the state, and looks into its ledger."""

from collections.abc import Callable, Generator
from typing import Any

from msgspec.structs import replace

from rendezvous_core.ports import refusals
from rendezvous_core.protocol.coordinator import Coordinator
from rendezvous_core.protocol.operations import Drop, Fetch, File, Operation, Read, Rest, Steps, Token, Write
from rendezvous_core.protocol.participant import Participant
from rendezvous_core.records.invariants import check_state, check_step
from rendezvous_core.records.ledger import Book, abandoned, completed, file, number, pages, whole
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import State
from rendezvous_core.records.terms import Terms


class Follower(Participant):
    """Follows the state of its run."""

    def __init__(self, member: Member, terms: Terms, new_id: Callable[[], str]) -> None:
        super().__init__(member, terms)
        self.now = 0.0
        self.restored = 0
        """How often this node wrote back a state that the backend had lost."""
        self._timing, self._page = terms.timing, terms.page
        self.coordinator = Coordinator(member.node, terms, new_id)
        self._kept: State | None = None
        """The newest state whose ledger this node has whole."""
        self._missed = ""
        """The ledger of which a page was missing at the latest look."""
        self._lost_at: float | None = None
        """Since when the state is missing, or older than one that this node has seen without its ledger."""
        self._token: Token = None
        self._stale = True
        self._read_at = self._asked_at = float("-inf")
        """When the state was seen, and when the backend was asked for it."""
        self._last_call_at = self._knock_at = 0.0
        """When the last call, and the wait of the newcomers, was first seen."""
        self._crowded_at: float | None = None
        """Since when others have had all places, this coordinator having been heard."""
        self._still = 0.0
        """For how long the state has stood still."""

    def _known(self) -> State:
        assert self.state is not None  # it is read before it is used
        return self.state

    def _is_older(self, state: State) -> bool:
        """Whether the backend lost or rolled back what this node has seen (Rule 11)."""
        return self.state is not None and not self._mismatched() and state.age < self.state.age

    def _restored(self) -> State:
        """Return the newest state this node has seen of its group, for one that was lost or rolled back."""
        if self.state is None or self._mismatched():
            return State(run=self._run, settings=self._settings)
        return self.state

    def _standing(self) -> Generator[Operation, Any, tuple[State, Token, bool]]:
        """Read the state; where it was lost or rolled back, return what is to stand, and that it does not."""
        state, token = (yield Read()) or (None, None)
        if state is None or self._is_older(state):
            return self._restored(), token, True
        return state, token, False

    def _read(self) -> Steps:
        state, token, is_lost = yield from self._standing()
        self._asked_at = self.now
        if not is_lost:
            self._see(state, token)
        elif not state.is_whole and not self._has_waited():
            yield Rest(self._timing.look)
        else:
            self.restored += self.state is not None
            yield from self._write(state, self.coordinator.claim(state, 0.0, self.now), token, anew=True)

    def _has_waited(self) -> bool:
        """Whether those who have the ledger had time to bring back a lost state (Rule 24)."""
        if self._lost_at is None:
            self._lost_at = self.now
        return self.now - self._lost_at > 1.5 * self._timing.period

    def _write(self, basis: State, state: State, token: Token, *, anew: bool = False) -> Steps:
        """Compare-and-set what follows from ``basis``. Then the node has seen what stands, or is stale.

        A ledger that has changed, or is to be written ``anew``, is there before the state that names it.
        """
        me = self.member
        serial = max(state.serial, self.state.serial if self.state else 0) + 1
        beat = me.beat if state.coordinator == me.node else state.beat
        self._stale = True
        state = replace(state, serial=serial, beat=beat)
        state = file(state, basis, self.coordinator.new_id, self._page, anew=anew)
        check_step(basis, state)
        filed = state.apart if state.apart != basis.apart else None
        if filed:
            yield File(filed.id, pages(state))
        reply = yield Write(state.head, token)
        if reply is None:
            return
        standing, token, written = reply
        if filed and standing.apart == filed:
            self._kept = state
        if not self._is_older(standing):
            self._see(standing, token)
        doomed = basis.apart if written else filed
        if doomed and doomed != standing.apart:
            yield Drop(doomed.id, doomed.pages)

    def _see(self, state: State, token: Token) -> None:
        if state.run != self._run:
            raise refusals.foreign(self._run, state.run)
        former, state = self.state, completed(state, self._kept)
        self._lost_at = None
        if former is None or former.head != state.head:
            self._still = 0.0
            self._moves += 1
        else:
            self._still += min(self.now - self._read_at, 1.25 * self._timing.period)
        if former is None or former.last_call != state.last_call:
            self._last_call_at = self.now
        if former is None or former.knock != state.knock:
            self._knock_at = self.now
        if former is None or former.draining != state.draining:
            self._note_drains(state)
        if former is None:
            self.member = replace(self.member, asked=state.serial)
        self.state, self._token, self._read_at, self._stale = state, token, self.now, False
        self.coordinator.see(former, state)
        if state.term != self.member.term:
            # The echo proves to a new coordinator that this record is no dead node's.
            self.member = replace(self.member, term=state.term)
            self._news |= self.outcome is None or self._quits()
        if state.phase == "complete" and state.round > self.member.seen:
            self.member = replace(self.member, seen=state.round)
        self._settle()
        self._check_room(state, former)

    def _check_room(self, state: State, former: State | None) -> None:
        """Refuse a node of a job without an id where another such job is at work (Rule 22).

        Not before a participant would have been found dead, whose place this node is to take.
        """
        waits = self._spare and self.outcome is None and not (self._has_id or self.finished)
        if not waits or state.still_active < state.settings.most:
            self._crowded_at = None
        elif self._crowded_at is None or former is None or former.term != state.term:
            self._crowded_at = self.now
        elif self.now - self._crowded_at > 1.5 * max(state.lease, self.member.dead_after):
            self.refuse(refusals.full(self._run))

    def _note_drains(self, state: State) -> None:
        drains = {}
        for node, left in state.draining.items():
            noted, until = self._drains.get(node, (None, 0.0))
            drains[node] = (left, until if noted == left else self.now + left)
        mine = drains.get(self.member.node)
        if mine is not None and mine != self._drains.get(self.member.node):
            self._goes_at = min(self._goes_at, mine[1])
        self._drains = drains

    # The ledger (Rule 24)

    def _look_up(self) -> Steps:
        """Look into the ledger for what this node has to know."""
        state, nodes = self._known(), self._questions()
        if self._is_to_load():
            yield from self._load(insists=False)
            return
        if not nodes or not state.apart:
            return
        numbers = sorted({number(node, state.apart.pages) for node in nodes})
        found = yield Fetch(state.apart.id, numbers)
        if not found:
            self._miss(state.apart.id)
            return
        page = {node: entry for each in found for node, entry in each.items() if node in nodes}
        self._book = Book(state.apart.id, state.round_id, nodes, page)
        self._settle()

    def _load(self, *, insists: bool = True) -> Generator[Operation, Any, State | None]:
        """Return the whole state, ``None`` where that is not known, and what follows where it is lost."""
        state = self._known()
        if state.is_whole or not state.apart:
            return state
        found = yield Fetch(state.apart.id, range(state.apart.pages))
        loaded = whole(state, found) if found else None
        if self.state is not state:
            self._stale = True  # it has been seen anew meanwhile
            return None
        if loaded is not None:
            check_state(loaded)
            self.state = self._kept = loaded
            self._settle()
        elif insists and self._missed == state.apart.id:
            loaded = abandoned(state)
        else:
            self._miss(state.apart.id)
        return loaded

    def _has_question(self) -> bool:
        """Whether this node has to look into a ledger that may be there."""
        apart = self._known().apart
        return bool(apart and apart.id != self._missed and (self._questions() or self._is_to_load()))

    def _is_to_load(self) -> bool:
        """Whether this node is to have a ledger whole that it has not."""
        return self._is_heir and self.joined is not None and not (self.finished or self._known().is_whole)

    def _miss(self, ledger: str) -> None:
        """Note that a page was missing: another ledger may stand by now, or else the coordinator is told."""
        if self._missed != ledger:
            self._missed, self._stale = ledger, True
        elif self.member.misses != ledger:
            self.member, self._news = replace(self.member, misses=ledger), True
