"""What one node does: a generator that yields operations and is sent their answers.

The driver (a thread with a real backend, or the simulation) sets `Node.now` to its monotonic clock
before it resumes a generator, and throws `RendezvousConnectionError` into it where an operation
failed; the operation may have been applied nevertheless.
"""

import contextlib
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from rendezvous_core.ports.errors import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousGracefulExitError,
    RendezvousStateError,
)
from rendezvous_core.protocol.decision import RankPolicy, appoint_heir, close, decide
from rendezvous_core.protocol.observation import Observer
from rendezvous_core.protocol.operations import (
    List,
    Operation,
    Put,
    Read,
    Remove,
    Rest,
    Steps,
    Timing,
    Token,
    Wait,
    Write,
)
from rendezvous_core.protocol.ranks import keep_ranks
from rendezvous_core.protocol.records import Intent, Member, Settings, State

_NEVER = float("-inf")

_SHARE = 8
"""For so many missing nodes, a rest may be longer by the time of one pass."""

_MANY = 64
"""Spent tickets are pruned when there are this many more than twice the members."""


class Joined(NamedTuple):
    """The round that a node is part of."""

    round: int
    round_id: str
    rank: int
    world_size: int


class Node:
    """One node of a run.

    `live` runs in the background for as long as the node has business in the run. `ask` and `quit`
    say what the node's user wants; `outcome` is the answer to the latest ask; `close` may be driven
    by another thread at the same time.
    """

    def __init__(
        self,
        member: Member,
        run: str,
        settings: Settings,
        timing: Timing,
        new_id: Callable[[], str],
        ranks: RankPolicy = keep_ranks,
    ) -> None:
        self.now = 0.0
        self.member = member
        self.outcome: Joined | RendezvousError | None = None
        self.joined: Joined | None = None
        self.finished = True
        self.state: State | None = None
        self.trouble: RendezvousConnectionError | None = None

        self._run, self._settings, self._timing = run, settings, timing
        self._new_id, self._ranks = new_id, ranks
        self._token: Token = None
        self._stale = True
        self._read_at = _NEVER
        self._put_at = _NEVER
        self._news = False
        self._spare = False
        self._last_call_at = 0.0
        # Of the state as followers watch it: for how long it has stood still, how often it moved.
        self._still = 0.0
        self._moves = 0
        # Of this node's own term as coordinator.
        self._term: str | None = None
        self._observer = self._new_observer()
        self._passed = False
        self._failed = False
        self._missing = 0
        self._rest = 0.0

    # What the user wants

    def ask(self) -> None:
        """Ask for a place in the next round; leaves the round that the node is in."""
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

    def put(self) -> Put:
        """Return the operation that stores the present record as its next heartbeat."""
        self.member = replace(self.member, beat=self.member.beat + 1)
        announce, self._news, self._put_at = self._news, False, self.now
        return Put(self.member, announce)

    def put_failed(self, put: Put) -> None:
        """Have the record put again, since nobody may have got it."""
        self._put_at = _NEVER
        self._news |= put.announce

    def close(self) -> Steps:
        """Close the run, finally; ends when it is closed, and leaves retrying on errors to the driver."""
        while True:
            state, token = (yield Read()) or (None, None)
            if state is not None and not self._is_older(state):
                self._see(state, token)
                if state.phase == "closed":
                    return
            else:
                state = self._restored()
            yield from self._write(close(state), token)

    @property
    def nodes_waiting(self) -> int:
        """How many nodes wait for a new round, or how many departures call for one."""
        state = self.state
        if state is None or self.joined is None or state.phase == "closed":
            return 0
        over = state.phase == "joining" or state.round_id != self.joined.round_id
        if over or self.member.node in state.gone:
            return max(1, state.waiting)
        return max(state.waiting, sum(reason != "done" for reason in state.gone.values()))

    # The life of a node

    def live(self) -> Steps:
        """Beat, watch, and coordinate when it is this node's turn, until the node is `finished`."""
        failures = 0
        while not self.finished:
            try:
                yield from self._cycle()
                failures, self.trouble = 0, None
            except RendezvousConnectionError as error:
                failures, self.trouble = failures + 1, error
                yield Rest(min(self._timing.look, 0.01 * 2 ** min(failures, 10)))
        with contextlib.suppress(RendezvousConnectionError):
            yield Remove(self.member.node)

    def _cycle(self) -> Steps:
        began = self.now
        if self._stale or began >= self._read_due():
            yield from self._read()
        if self._stale or self.finished:
            return
        if self._news or self.now - self._put_at >= self._timing.period:
            yield from self._beat()
        if self.finished:
            return
        if self._may_take_over():
            yield from self._write(self._claim(self._known(), self._still), self._token)
        watch = (yield from self._coordinate()) if self._leads() else None
        if self._stale or self.finished or self._news:
            return
        if watch is not None and self.now > began:
            # Asks that arrive together are best decided together: rest as long as the pass took, and twice
            # as long each time while so many are missing that the next ones cannot complete the round.
            took = self.now - began
            most = took * (1 + self._missing / _SHARE)
            self._rest = min(max(took, 2 * self._rest), most, self._timing.look)
            yield Rest(self._rest)
        self._stale = yield Wait(self._token, watch, max(0.0, self._next_duty() - self.now))

    def _beat(self) -> Steps:
        if self._mismatched():
            self._news, self._put_at = False, self.now
            return
        put = self.put()
        try:
            yield put
        except RendezvousConnectionError:
            self.put_failed(put)
            raise

    def _next_duty(self) -> float:
        """When the node must act even if nothing changes."""
        state, timing = self._known(), self._timing
        duties = [self._put_at + timing.period, self._read_due()]
        if self._leads():
            duties.append(self.now + timing.look)
            last_call_over = self._last_call_at + timing.last_call
            if state.last_call and last_call_over > self.now:
                duties.append(last_call_over)
        return min(duties)

    def _read_due(self) -> float:
        """When to read the state again: the coordinator's next write wakes this node earlier, if it lives."""
        watch = 1.25 * self._timing.period
        left = self._patience() - self._still
        return self._read_at + (left if 0 < left < watch else watch)

    # The state

    def _known(self) -> State:
        assert self.state is not None, "the state is read before it is used"
        return self.state

    def _is_older(self, state: State) -> bool:
        """Whether the backend lost or rolled back what this node has seen."""
        return self.state is not None and not self._mismatched() and state.age < self.state.age

    def _restored(self) -> State:
        """Return the newest state this node has seen of its group, for one that was lost or rolled back."""
        if self.state is None or self._mismatched():
            return State(run=self._run, settings=self._settings)
        return self.state

    def _read(self) -> Steps:
        state, token = (yield Read()) or (None, None)
        if state is None or self._is_older(state):
            yield from self._write(self._claim(self._restored(), 0.0), token)
        else:
            self._see(state, token)

    def _write(self, state: State, token: Token) -> Steps:
        """Compare-and-set. Afterwards the node has seen what stands, or else it is stale."""
        me = self.member
        serial = max(state.serial, self.state.serial if self.state else 0) + 1
        # A put that is due comes next, and must not call for another write.
        beat = me.beat + self._news if state.coordinator == me.node else state.beat
        self._stale = True
        reply = yield Write(replace(state, serial=serial, beat=beat), token)
        if reply is None:
            return
        standing, token, _ = reply
        if self._is_older(standing):
            return
        self._see(standing, token)

    def _see(self, state: State, token: Token) -> None:
        if state.run != self._run:
            raise RendezvousStateError(
                f"The state found for the run '{self._run}' belongs to the run '{state.run}': "
                "give each run a run id and a key prefix of its own."
            )
        former = self.state
        led = self._leads()
        if former != state:
            self._still = 0.0
            self._moves += 1
        else:
            self._still += min(self.now - self._read_at, 1.25 * self._timing.period)
        if former is None or former.last_call != state.last_call:
            self._last_call_at = self.now
        if former is None:
            self.member = replace(self.member, asked=state.serial)
        self.state, self._token, self._read_at, self._stale = state, token, self.now, False
        if led and not self._leads() and not self._passed:
            self._failed = True
        if state.term != self.member.term:
            # The echo proves to a new coordinator that this record is no dead node's.
            self.member = replace(self.member, term=state.term)
            self._news |= self.outcome is None
        if state.phase == "complete" and state.round > self.member.seen:
            self.member = replace(self.member, seen=state.round)
        self._settle()

    # The ask

    def _quits(self) -> bool:
        return self.member.intent != "join"

    def _mismatched(self) -> bool:
        state = self.state
        return state is not None and state.phase != "closed" and state.settings != self._settings

    def _new_ticket(self) -> None:
        asked = self.state.serial if self.state else 0
        self.member = replace(self.member, ticket=self.member.ticket + 1, intent="join", asked=asked)
        self._news = True

    def _settle(self) -> None:
        """Hold the present ask against the present state."""
        state, me = self.state, self.member
        if state is None or self.finished:
            return
        if self._quits() and (
            state.phase == "closed" or self._mismatched() or state.has_spent(me.node, me.ticket)
        ):
            self.finished = True
        elif self.outcome is not None:
            return
        elif state.phase == "closed":
            closed = f"The rendezvous '{self._run}' is closed."
            self.refuse(
                RendezvousGracefulExitError(f"{closed} This node stood by as a spare and is not needed.")
                if self._spare
                else RendezvousClosedError(closed)
            )
        elif self._mismatched():
            if self._moves > 1:
                self.refuse(
                    RendezvousStateError(
                        f"This node's settings differ from those of the running group of '{self._run}': "
                        f"{self._settings.difference(state.settings)}. "
                        "Start all nodes of a run with the same settings."
                    )
                )
        elif me.intent in ("join", "cancel") and (rank := state.rank(me.node, me.ticket)) is not None:
            self.member = replace(me, intent="join")
            self.outcome = self.joined = Joined(state.round, state.round_id, rank, len(state.roster))
        elif state.has_spent(me.node, me.ticket):
            self._new_ticket()
        elif state.phase == "complete":
            self._spare = True

    def refuse(self, error: RendezvousError) -> None:
        """Answer the present ask with an error; the node has no more business in the run."""
        self.outcome, self.finished = error, True

    # The coordinator

    def _leads(self) -> bool:
        state = self.state
        return (
            state is not None
            and state.phase != "closed"
            and (state.coordinator, state.term) == (self.member.node, self._term)
        )

    def _patience(self) -> float:
        """For how long the state may stand still before this node takes over."""
        return self._known().lease * (1 + self._failed + self._mismatched())

    def _may_take_over(self) -> bool:
        state = self._known()
        if state.phase == "closed" or self._leads():
            return False
        if state.coordinator in (None, self.member.node) and not self._mismatched():
            return True
        return self._still >= self._patience()

    def _claim(self, state: State, silence: float) -> State:
        """Return ``state`` under a new term of this node's, the former coordinator silent so long."""
        self._term, self._passed, self._observer = self._new_id(), False, self._new_observer()
        if silence and state.coordinator not in (None, self.member.node):
            self._observer.expect(state.coordinator, state.beat, silence)
        return replace(
            state,
            coordinator=self.member.node,
            term=self._term,
            lease=self._timing.dead_after,
            settings=self._settings,
        )

    def _new_observer(self) -> Observer:
        return Observer(self.member.node, 2 * self._timing.look, self.now)

    def _coordinate(self) -> Generator[Operation, Any, Token]:
        """Make one pass: look at the members, decide, write. Returns the token to wait on."""
        # Decide on the state as it stood before the listing, whatever another thread sees meanwhile.
        state, token, now = self._known(), self._token, self.now
        listed, watch = yield List()
        everybody = {**listed, self.member.node: self.member}
        sight = self._observer.look(everybody, state.active(), state.term, now)
        decided = decide(
            state,
            sight,
            last_call_over=now >= self._last_call_at + self._timing.last_call,
            new_id=self._new_id,
            ranks=self._ranks,
        )
        if self._quits() and decided.has_spent(self.member.node, self.member.ticket):
            decided = appoint_heir(decided, sight, self.member.node)
        elif len(decided.spent) > _MANY + 2 * len(listed):
            decided = self._prune(decided, listed)
        if decided != state or state.beat != self.member.beat:
            yield from self._write(decided, token)
        self._passed, self._failed = True, False
        # While a round runs, whose participants may die, nobody looks more rarely.
        forms = decided.phase == "joining"
        self._missing = max(0, state.settings.min_nodes - len(sight.fresh)) if forms else 0
        for node in sight.forgotten:
            yield Remove(node)
        return watch

    def _prune(self, state: State, listed: Mapping[str, Member]) -> State:
        """Forget the tickets of nodes long gone; a new term keeps their late puts from counting."""
        keep = listed.keys() | {seat.node for seat in state.roster}
        spent = {node: ticket for node, ticket in state.spent.items() if node in keep}
        self._term = self._new_id()
        return replace(state, spent=spent, term=self._term)
