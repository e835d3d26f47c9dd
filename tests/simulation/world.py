"""A simulated world: virtual time, a backend that fails, machines that crash and pause.

Everything that happens is drawn from one seed, so a run replays exactly. The clocks of two machines
have nothing in common; only `World.now` is the truth, and only tests look at it.
"""

import heapq
import random
from collections.abc import Callable
from typing import Any

from rendezvous_core.records.ledger import PAGE
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import State
from tests.simulation.backend import Backend
from tests.simulation.faults import NO_FAULTS, Faults
from tests.simulation.invariants import Invariants
from tests.simulation.machine import Machine


class World:
    """Virtual time and everything that happens in it."""

    def __init__(self, seed: int, faults: Faults = NO_FAULTS, **node_options: Any) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.now = 0.0
        self.faults = faults
        self.machines: dict[str, Machine] = {}
        self.backend = Backend(self)
        self.invariants = Invariants(self)
        self.options = {"page": self._draw_page()} | node_options
        self._agenda: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self.notes: list[tuple[float, tuple[Any, ...]]] = []

    def _draw_page(self) -> int:
        """Whether the ledger is in the state, or apart; drawn beside all else."""
        return random.Random(f"page {self.seed}").choice((PAGE, 1, 2))

    def after(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (self.now + delay, self._count, action, arguments))

    def latency(self) -> float:
        return self.random.expovariate(1.0) * self.faults.latency

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass; stop early, with ``True``, when ``until`` holds."""
        agenda, end = self._agenda, self.now + seconds
        while agenda and agenda[0][0] <= end:
            if until is not None and until():
                return True
            self.now, _, action, arguments = heapq.heappop(agenda)
            action(*arguments)
        self.now = end
        return until is not None and until()

    def start(self, count: int = 1, names: str = "", **options: Any) -> list[Machine]:
        """Start machines whose users ask at once."""
        started = []
        for _ in range(count):
            # The first letter is drawn: names must not sort in the order of arrival.
            name = f"{names or self.random.choice('abcdefgh')}{len(self.machines)}"
            machine = self.machines[name] = Machine(self, name, **(self.options | options))
            started.append(machine)
            machine.ask()
        return started

    def heal(self) -> None:
        """End all faults; the dead stay dead."""
        self.note("heal")
        self.invariants.on_heal(self.faults.latency)
        self.faults = NO_FAULTS
        self.backend.down, self.backend.stale_members, self.backend.partial = False, None, 0.0
        for machine in self.live:
            machine.cut_off, machine.deaf, machine.broken = False, False, None
            machine.start_clock()
            machine.slow_listing = 0.0
            machine.resume()

    def new_id(self) -> str:
        return f"{self.random.getrandbits(48):012x}"

    @property
    def live(self) -> list[Machine]:
        return [machine for machine in self.machines.values() if not machine.crashed]

    def note(self, *parts: Any) -> None:
        self.notes.append((self.now, parts))

    @property
    def log(self) -> list[str]:
        return [f"{when:9.3f}  {' '.join(map(_told, parts))}" for when, parts in self.notes]


def _told(part: Any) -> str:
    if isinstance(part, State):
        return (
            f"{part.phase} round {part.round} ({part.round_id[:4]}) roster "
            f"{' '.join(f'{seat.node}/{seat.ticket}' for seat in part.roster) or '-'} gone {part.gone} "
            f"waiting {part.waiting} spent {part.spent} last call {part.last_call and part.last_call[:4]} "
            f"by {part.coordinator} term {part.term[:4]} serial {part.serial}"
        )
    if isinstance(part, Member):
        return f"{part.intent} ticket {part.ticket} beat {part.beat} term {part.term[:4]}"
    return repr(part) if isinstance(part, Exception) else str(part)
