"""The server of the simulated world."""

import random
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from rendezvous_core.protocol.operations import Drop, Fetch, File, List, Put, Read, Remove, Wait, Write
from rendezvous_core.records.codec import encode_state
from rendezvous_core.records.ledger import Page, whole
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import State

if TYPE_CHECKING:
    from tests.simulation.machine import Asker, Machine
    from tests.simulation.world import World


class Backend:
    """The server: a register, members, notification, and the means to break it."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.state: State | None = None
        """Whole, wherever its ledger is kept."""
        self.ledgers: dict[str, dict[int, Page]] = {}
        self.filed: dict[str, list[Page]] = {}
        """All ledgers that ever were."""
        self.version = 0
        self.members: dict[str, Member] = {}
        self.newest: dict[str, int] = {}
        """The highest beat that was ever put, of each node."""
        self.bell = 0
        self.touches = 0
        """Counts all writes."""
        self.down = False
        self.lossless = True
        self.stale_members: dict[str, Member] | None = None
        """Set to serve listings from a cache."""
        self.partial = 0.0
        """How likely each record is left out of a listing, though never of two that one node gets in a row.

        What is put and never shown is no sign of life to anybody: that breaks what the promises rest on.
        """
        self._left_out: dict[str, set[str]] = {}
        self.content_tokens = False
        """Whether the content of the state serves as its token."""
        self.one_register = False
        """Whether everything is kept in one register, for which all writes compete."""
        self.tells = random.Random(f"tells {world.seed}").random() < 0.5
        """Whether news come with the state; drawn beside all else."""
        self.limit: int | None = None
        """In bytes, of a state."""
        self._waiters: list[tuple[Wait, Machine, Asker]] = []

    @property
    def token(self) -> Any:
        return self.state if self.state is None or self.content_tokens else self.version

    def apply(self, operation: Any, machine: "Machine", sent: float | None = None) -> Any:
        """Do what ``machine`` asks for, or asked for at ``sent``."""
        match operation:
            case Read():
                return None if self.state is None else (self.state.head, self.token)
            case Write(head, token):
                written = token == self.token
                if written:
                    state = self.whole(head)
                    self.world.note(machine.name, "writes", state)
                    self.world.invariants.on_write(machine, self.state, state, sent)
                    self.put_state(state)
                return None if self.state is None else (self.state.head, self.token, written)
            case File(ledger, pages):
                assert ledger not in self.filed, "a ledger is never overwritten"
                self.filed[ledger] = list(pages)
                self.ledgers[ledger] = dict(enumerate(pages))
            case Fetch(ledger, numbers):
                there = self.ledgers.get(ledger, {})
                return [there[number] for number in numbers] if there.keys() >= set(numbers) else None
            case Drop(ledger, _):
                self.ledgers.pop(ledger, None)
            case Put(member, announce):
                self.touches += 1
                self.members[member.node] = member
                self.newest[member.node] = max(member.beat, self.newest.get(member.node, 0))
                self.world.invariants.on_put(member)
                if announce:
                    self.world.note(member.node, "puts", member)
                    self.bell += 1
                    self._wake()
            case Remove(node):
                self.touches += 1
                self.members.pop(node, None)
            case List():
                self.world.invariants.on_list(machine)
                members = self.members if self.stale_members is None else self.stale_members
                if self.partial:
                    members = self._in_part(members, machine)
                return dict(members), self.bell
        return None

    def _in_part(self, members: dict[str, Member], reader: "Machine") -> dict[str, Member]:
        before, draw = self._left_out.get(reader.name, set()), self.world.random.random
        out = {node for node in members if node not in before and draw() < self.partial}
        self._left_out[reader.name] = out
        return {node: member for node, member in members.items() if node not in out}

    def is_too_long(self, operation: Any) -> bool:
        """Whether a server refuses what is asked of it, however often it is."""
        return (
            self.limit is not None
            and isinstance(operation, Write)
            and len(encode_state(operation.state)) > self.limit
        )

    def whole(self, head: State) -> State:
        """Put together what was written as a head, and as a ledger before it."""
        if head.is_whole or head.apart is None:
            return head
        state = whole(head, self.filed[head.apart.id])
        assert state is not None
        return state

    def put_state(self, state: State | None) -> None:
        self.state = state
        self.version += 1
        self.touches += 1
        self._wake()

    def wait(self, wait: Wait, machine: "Machine", steps: "Asker") -> None:
        if self._changed(wait):
            machine.answer(steps, self._news(wait))
            return
        entry = (wait, machine, steps)
        self._waiters.append(entry)
        self.world.after(wait.timeout / machine.rate, self._time_out, entry)

    def _time_out(self, entry: tuple[Wait, "Machine", "Asker"]) -> None:
        if entry in self._waiters:
            self._waiters.remove(entry)
            entry[1].answer(entry[2], False)

    def _changed(self, wait: Wait) -> bool:
        return wait.token != self.token or (wait.members is not None and wait.members != self.bell)

    def _news(self, wait: Wait) -> Any:
        if not self.tells or self.state is None or wait.token == self.token:
            return True
        return self.state.head, self.token

    def _wake(self) -> None:
        world, kept = self.world, []
        for entry in self._waiters:
            if self._changed(entry[0]) and world.random.random() >= world.faults.wake_up_lost:
                entry[1].answer(entry[2], self._news(entry[0]))
            else:
                kept.append(entry)
        self._waiters = kept

    # Faults

    def go_down(self) -> None:
        self.world.note("the backend goes down")
        self.down = True
        waiters, self._waiters = self._waiters, []
        for _, machine, steps in waiters:
            machine.refuse(steps)

    def come_up(self) -> None:
        self.world.note("the backend comes up")
        self.down = False

    def snapshot(self) -> tuple[State | None, dict[str, Member], int]:
        return self.state, dict(self.members), self.version

    def roll_back(self, snapshot: tuple[State | None, dict[str, Member], int], reissue: bool = False) -> None:
        """Fail over to a replica that lags; with ``reissue`` it counts its tokens from there."""
        self.world.note("rolled back to", snapshot[0], "reissuing tokens" if reissue else "")
        self.lossless = False
        self.members = dict(snapshot[1])
        if reissue:
            self.version = snapshot[2] - 1
        apart = snapshot[0] and snapshot[0].apart
        self.ledgers = {apart.id: dict(enumerate(self.filed[apart.id]))} if apart else {}
        self.put_state(snapshot[0])

    def lose_ledger(self, left: Collection[int] = ()) -> None:
        """Lose all pages, or all but some, of every ledger that there is."""
        self.world.note("ledger lost", *left)
        self.lossless = False
        kept = {id: {n: pages[n] for n in left if n in pages} for id, pages in self.ledgers.items()}
        self.ledgers = {id: pages for id, pages in kept.items() if pages}

    def lose_state(self, members: bool = True) -> None:
        self.roll_back((None, {} if members else self.members, 0))

    def lose_members(self) -> None:
        self.world.note("members lost")
        self.world.invariants.on_members_lost()
        self.members = {}
