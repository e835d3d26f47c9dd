"""What one node does: a generator that yields operations and is sent their answers.

The driver (a thread with a real backend, or the simulation) sets `Node.now` to its monotonic clock
before it resumes a generator, and throws `RendezvousConnectionError` into it where an operation
failed; the operation may have been applied nevertheless.
"""

import contextlib
from collections.abc import Callable, Generator, Mapping
from typing import Any

from msgspec.structs import replace

from rendezvous_core.ports.errors import RendezvousConnectionError
from rendezvous_core.protocol.decision import Over
from rendezvous_core.protocol.follower import Follower
from rendezvous_core.protocol.operations import List, Operation, Put, Remove, Rest, Steps, Token, Wait
from rendezvous_core.protocol.participant import Joined
from rendezvous_core.records.changes import close, drain, reopen, undrain
from rendezvous_core.records.codec import check_member
from rendezvous_core.records.member import Intent, Member
from rendezvous_core.records.terms import Terms

__all__ = ["Joined", "Node"]

_NEVER = float("-inf")

_RIPE = 0.9
"""The part of a period after which a node that is awake beats: else it would soon wake for that alone."""

_SOON = 0.001
"""What is left, in seconds, to a node that was to have gone by now."""


class Node(Follower):
    """One node of a run.

    `live` runs in the background for as long as the node has business in the run. `ask` and `quit`
    say what the node's user wants; `outcome` is the answer to the latest ask; `close` may be driven
    by another thread at the same time.

    Raises:
        ValueError: ``member`` cannot be stored; names what is out of which range.
    """

    def __init__(self, member: Member, terms: Terms, new_id: Callable[[], str]) -> None:
        check_member(member)
        super().__init__(member, terms, new_id)
        self.deposed_after = 0.0
        """For how long the coordinator had been silent that this node took over from last."""
        self._put_at = _NEVER
        self._heard = self._wish()
        """What the latest decision of this node took in of its own wishes."""
        self._looked_at = _NEVER

    def close(self) -> Steps:
        """Close the run, finally; ends when it is closed, and leaves retrying on errors to the driver."""
        while True:
            state, token, is_lost = yield from self._standing()
            if not is_lost:
                self._see(state, token)
            if self.is_closed and not (is_lost and state.phase == "closed"):
                return  # maybe others have reopened it since
            yield from self._write(state, close(state), token, anew=is_lost)

    def drain(self, until: Mapping[str, float]) -> Steps:
        """Tell all that nodes are to go at times by this node's clock (Rule 23); retried as `close` is.

        This node itself goes in time even if nobody could be told.
        """
        me = self.member.node
        if me in until:
            self._goes_at = min(self._goes_at, until[me])
        while True:
            state, token, is_lost = yield from self._standing()
            if state.phase == "closed" or (is_lost and self.state is None):
                return  # there is no run
            wanted = {node: max(_SOON, moment - self.now) for node, moment in until.items()}
            yield from self._write(state, drain(state, wanted), token, anew=is_lost)
            if not self._stale and self.state is not None and wanted.items() <= self.state.draining.items():
                return

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
        if self._may_reopen() and (state := (yield from self._load())):
            claimed = self.coordinator.claim(reopen(state), 0.0, self.now)
            yield from self._write(self._known(), claimed, self._token)
        if self._stale or self.finished:
            return
        yield from self._look_up()
        if self._stale or self.finished:
            return
        if self.now >= self._goes_at and self.joined is not None and not self._quits():
            self.quit("leave")
        state, me = self._known(), self.member.node
        if self.outcome is None and me in state.draining and not self._quits():
            # It went as it was to, and is asked back.
            yield from self._write(state, undrain(state, {me}), self._token)
            if self._stale or self.finished:
                return
        is_due = self.now - self._put_at >= _RIPE * self._timing.period
        if is_due or self._news:
            yield from self._beat(beats=is_due or not self._leads())
        if self.finished:
            return
        if self._may_take_over():
            state, self.deposed_after = self._known(), self._still
            claimed = self.coordinator.claim(state, self._still, self.now)
            yield from self._write(state, claimed, self._token)
        watch = (yield from self._coordinate()) if self._leads() else None
        if self._stale or self.finished or self._is_unheard() or self._has_question():
            return
        if watch is not None and self.now > began:
            yield Rest(self.coordinator.rest(self.now - began))
            if self._is_unheard():
                return  # the user wants something else meanwhile
        self._hear((yield Wait(self._token, watch, max(0.0, self._next_duty() - self.now))))

    def _hear(self, news: Any) -> None:
        """Take in what a wait was answered: also a state, if it is news and no look is due (Rule 15)."""
        self._stale = bool(news)
        looks = self.now >= min(self._read_due(), self._asked_at + self.member.dead_after)
        if isinstance(news, tuple) and not (looks or self._mismatched()) and news[0].age > self._known().age:
            self._see(*news)

    def _is_unheard(self) -> bool:
        """Whether the coordinator has still to hear what this node wants."""
        return self._heard != self._wish() if self._leads() else self._news

    def _wish(self) -> tuple[int, Intent]:
        return self.member.ticket, self.member.intent

    def _beat(self, *, beats: bool) -> Steps:
        """Put the record: as its next heartbeat, or for people (Rule 2)."""
        announce, self._news = self._news and beats, False
        if self._mismatched():
            self._put_at = self.now
            return
        if beats:
            self.member, self._put_at = replace(self.member, beat=self.member.beat + 1), self.now
        try:
            yield Put(self.member, announce)
        except RendezvousConnectionError:
            # Nobody may have got it.
            self._put_at = _NEVER
            self._news |= announce
            raise

    def _coordinate(self) -> Generator[Operation, Any, Token]:
        """Make one pass: look at the members, decide, write (Rule 3). Returns the token to wait on."""
        # Decide on the state as it stood before the listing, whatever another thread sees meanwhile.
        state = yield from self._load()
        if state is None:
            return None
        basis, token, asked = self._known(), self._token, self.now
        state = replace(state, apart=None)
        self._looked_at = asked
        listed, watch = yield List()
        over = Over(last_call=asked >= self._last_call_over(), gathering=asked >= self._gathering_over())
        self._heard = self._wish()
        decided = self.coordinator.decide(state, self.member, listed, asked, self.now, over)
        # A long pass may end a period later, though no beat was due when it began (Rule 3).
        overdue = self.now - self._read_at >= self._timing.period
        is_missed = self.coordinator.is_missed(basis, listed)
        has_beaten = self.member.beat not in (state.beat, 1)  # the first one comes with the first write
        if decided != state or not basis.is_whole or has_beaten or overdue or is_missed:
            yield from self._write(basis, decided, token, anew=is_missed)
        if self._leads() and not self._stale:
            self.coordinator.note_pass()
        for node in self.coordinator.forgotten:
            yield Remove(node)
        return watch

    def _next_duty(self) -> float:
        """When the node must act even if nothing changes."""
        state, timing = self._known(), self._timing
        duties = [self._put_at + timing.period, self._read_due()]
        if self.joined is not None and not self._quits():
            duties.append(self._goes_at)
        if self._leads():
            duties.append(self.now + timing.look)
            waits = []
            if state.last_call or state.departed:
                waits.append(self.coordinator.settled_at)
            if state.last_call:
                waits.append(self._last_call_over())
            if state.knock and not state.waiting:
                waits.append(self._gathering_over())
            # Also one that ended while the pass was under way.
            duties += [end for end in waits if end > self._looked_at]
        return min(duties)

    def _last_call_over(self) -> float:
        return self._last_call_at + self._timing.last_call

    def _gathering_over(self) -> float:
        admission = self._known().settings.admit_newcomers
        return self._knock_at + (admission if isinstance(admission, float) else 0.0)

    def _read_due(self) -> float:
        """When to read the state again: the coordinator's next write wakes this node earlier, if it lives."""
        watch = 1.25 * self._timing.period
        left = self._patience() - self._still
        return self._read_at + (left if 0 < left < watch else watch)

    # Taking over

    def _leads(self) -> bool:
        return self.coordinator.leads(self.state)

    def _patience(self) -> float:
        """For how long the state may stand still before this node takes over (Rule 10)."""
        state = self._known()
        # Those who have the ledger go first.
        late = 0.0 if state.is_whole else self._timing.look
        return state.lease * (1 + self.coordinator.failed + self._mismatched()) + late

    def _may_take_over(self) -> bool:
        state = self._known()
        if self.is_closed or self._leads():
            return False
        if state.coordinator in (None, self.member.node) and not self._mismatched():
            return True
        return self._still >= self._patience()
