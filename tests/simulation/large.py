"""A large group in the simulation: ``python -m tests.simulation.large 10000`` tells what it costs.

It forms, loses one node in a hundred, and forms again. Counted are operations, and bytes of what is stored
and read.
"""

import sys
import time
from collections import Counter
from typing import Any, NamedTuple

from rendezvous_core.protocol.operations import Fetch, File, List, Operation, Put, Read, Write
from rendezvous_core.records.codec import encode_member, encode_page, encode_state
from rendezvous_core.records.ledger import PAGE, Page
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import State
from tests.simulation.faults import Faults
from tests.simulation.machine import Machine
from tests.simulation.world import World

SPREAD = 1.0
"""Within so many seconds all nodes are started."""
INTERVAL = 5.0


class Cost(NamedTuple):
    """Of one node that follows, on average."""

    operations: float
    bytes: float

    def __str__(self) -> str:
        return f"{self.operations:.1f} operations and {self.bytes:,.0f} bytes a node"


class Group:
    """Nodes, and a count of what they do. Each has a name as long as a real one's."""

    def __init__(self, count: int) -> None:
        self.world = World(0, Faults(latency=0.0005), page=PAGE, interval=INTERVAL, last_call=2.0)
        self.count = count
        self._operations: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._sizes: dict[int, tuple[Any, int]] = {}
        apply = self.world.backend.apply

        def counted(operation: Operation, machine: Machine, sent: float | None = None) -> Any:
            answer = apply(operation, machine, sent)
            self._operations[machine.name] += 1
            self._bytes[machine.name] += self._size(operation, answer)
            return answer

        self.world.backend.apply = counted  # type: ignore[method-assign]
        # How often a coordinator may look in one period is meant for small groups.
        self.world.invariants.on_operation = lambda *_: None  # type: ignore[method-assign]

    def start(self) -> None:
        """Start all, one after the other."""

        def begin() -> None:
            self.world.start(1, f"{len(self.world.machines):015x}-", min_nodes=least, max_nodes=self.count)

        least = self.count - self.count // 50
        for _ in range(self.count):
            self.world.after(self.world.random.uniform(0.0, SPREAD), begin)

    def until_together(self, seconds: float = 120.0) -> float:
        """Wait until all that live are in one round; return when that is."""
        world = self.world

        def together() -> bool:
            state = world.backend.state
            if (
                state is None
                or state.phase != "complete"
                or state.gone
                or len(state.roster) != len(world.live)
            ):
                return False
            return all(m.inside and m.inside.round_id == state.round_id for m in world.live)

        began = world.now
        while not together():
            assert world.now - began < seconds, "they do not come together"
            world.run(0.1)
        return world.now - began

    def measured(self) -> Cost:
        """What a follower has cost since the last call; neither the coordinator, nor who has the ledger."""
        costs = sorted((self._bytes[name], self._operations[name]) for name in self.world.machines)
        costs = costs[: -self.count // 50]
        self._bytes.clear()
        self._operations.clear()
        return Cost(sum(each[1] for each in costs) / len(costs), sum(each[0] for each in costs) / len(costs))

    def _size(self, operation: Operation, answer: Any) -> int:
        match operation:
            case Read():
                return self._encoded(answer[0]) if answer else 0
            case Write(state, _):
                return self._encoded(state) + (self._encoded(answer[0]) if answer else 0)
            case Put(member, _):
                return self._encoded(member)
            case List():
                return sum(map(self._encoded, answer[0].values()))
            case File(_, pages):
                return sum(len(encode_page(page)) for page in pages)
            case Fetch():
                return sum(map(self._encoded, answer)) if answer else 0
        return 0

    def _encoded(self, value: Any) -> int:
        """The size of something that many read."""
        known = self._sizes.get(id(value))
        if known is None or known[0] is not value:
            known = self._sizes[id(value)] = value, len(_encode(value))
        return known[1]


def _encode(value: State | Member | Page) -> bytes:
    if isinstance(value, State):
        return encode_state(value)
    return encode_member(value) if isinstance(value, Member) else encode_page(value)


def play(count: int) -> dict[str, Cost]:
    """Have a group form, idle, lose nodes and form again; return what that costs."""
    group = Group(count)
    costs = {}
    group.start()
    group.until_together()
    costs["forms"] = group.measured()
    group.world.run(INTERVAL)
    group.measured()
    group.world.run(INTERVAL)
    costs["is idle for an interval"] = group.measured()
    for machine in group.world.random.sample(group.world.live, -(-count // 100)):
        machine.crash()
    group.until_together()
    costs[f"loses {-(-count // 100)} nodes, and forms again"] = group.measured()
    return costs


def main() -> None:
    for count in map(int, sys.argv[1:] or ["64", "1000", "10000"]):
        began = time.monotonic()
        for what, cost in play(count).items():
            print(f"a group of {count:,} {what}: {cost}", flush=True)
        print(f"({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
