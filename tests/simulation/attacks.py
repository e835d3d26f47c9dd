"""One who reads, writes, brings back, deletes and delays all that a sealed run keeps, and has no secret.

What the seal leaves such an attacker: records that a node wrote, at the place where they stood. A state
that does not open stops everybody, as an outage does.
"""

import random
from collections.abc import Callable

from rendezvous_core.protocol.node import Node
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import State
from tests.simulation.schedules import STAGE, Schedule


class Attack(Schedule):
    """A schedule in which an attacker is at work as well, until all is healed."""

    def __init__(self, seed: int, node_type: type[Node] = Node) -> None:
        super().__init__(seed, node_type)
        self.attacker = random.Random(f"attack {seed}")
        self.states: list[State] = []
        self.records: dict[str, list[Member]] = {}
        # Nobody can be promised anything by what is not kept.
        self.world.backend.lossless = False

    def run(self) -> None:
        """Play the schedule, and the attack along with it. Raises `Violation`."""
        draw = self.attacker
        for _ in range(draw.randint(20, 60)):
            action = draw.choice(_ATTACKS)
            self.world.after(draw.uniform(0.0, STAGE * self.period), self._attack, action)
        self._look()
        super().run()

    def _attack(self, action: "Callable[[Attack], None]") -> None:
        if not self.over:
            action(self)

    def _look(self) -> None:
        """Keep all that is seen, again and again."""
        backend = self.world.backend
        if backend.state is not None and backend.state not in self.states[-1:]:
            self.states.append(backend.state)
        for node, member in backend.members.items():
            kept = self.records.setdefault(node, [])
            if member not in kept[-1:]:
                kept.append(member)
        if not self.over:
            self.world.after(0.05 * self.period, self._look)

    def bring_back_state(self) -> None:
        if self.states:
            self.world.note("attack: an older state")
            self.world.backend.put_state(self.attacker.choice(self.states))

    def delete_state(self) -> None:
        self.world.note("attack: no state")
        self.world.backend.put_state(None)

    def bring_back_records(self) -> None:
        """All that one node ever wrote, one record after the other, as if it lived."""
        if not self.records:
            return
        node = self.attacker.choice(sorted(self.records))
        self.world.note("attack: the records of", node)
        for index, member in enumerate(self.records[node].copy()):
            self.world.after(0.2 * self.period * index, self._put, member)

    def delete_record(self) -> None:
        if self.world.backend.members:
            self.world.backend.members.pop(self.attacker.choice(sorted(self.world.backend.members)))
            self.world.invariants.on_members_lost()

    def damage_state(self) -> None:
        """Nobody can read it, until it is what it was."""
        self.outage()

    def hold_back(self) -> None:
        """What was listed before is listed for a while."""
        backend = self.world.backend
        backend.stale_members = dict(backend.members)
        self.later(lambda: setattr(backend, "stale_members", None))

    def _put(self, member: Member) -> None:
        if not self.over:
            self.world.backend.members[member.node] = member


_ATTACKS: list[Callable[[Attack], None]] = [
    Attack.bring_back_state,
    Attack.bring_back_state,
    Attack.delete_state,
    Attack.bring_back_records,
    Attack.bring_back_records,
    Attack.delete_record,
    Attack.damage_state,
    Attack.hold_back,
]
