"""Whether a register is linearizable."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.testing.linearizability import register_model
from rendezvous_core.testing.linearizability.client import Task
from rendezvous_core.testing.linearizability.workloads import use_register
from rendezvous_core.testing.suites.base import Link, needs
from rendezvous_core.testing.suites.histories import VICTIMS, Histories, times

Connect = Callable[..., RendezvousBackend]


class BackendHistories(Histories):
    """Reads and fenced writes of clients at the same time have an order that explains all answers."""

    @pytest.fixture
    def process_factory(self, backend_factory: Callable[[str], Any]) -> Callable[[str], Any]:
        """Optional: as ``backend_factory``, but taken by pickle; that very factory, where pickle takes it."""
        return self._portable(backend_factory, "backend_factory")

    def test_history(self, connect: Connect, run_id: str) -> None:
        """Reads are never stale, and of writes with one token one succeeds."""
        for turn in times():
            self._tell(connect, f"{run_id}-{turn}")

    @needs("link")
    def test_history_with_lost_connections(self, connect: Connect, run_id: str, link: Link) -> None:
        """No write is made twice, or told as made or not made where that is not known."""
        for turn in times():
            self._tell(connect, f"{run_id}-{turn}", link=link)

    @needs("process_factory")
    def test_history_with_killed_clients(
        self, connect: Connect, run_id: str, process_factory: Callable[[str], Any]
    ) -> None:
        """A client that is killed in the midst of a write has made it, or has not."""
        for turn in times():
            run = f"{run_id}-{turn}"
            victims = [Task(process_factory, run, f"victim{each}", use_register) for each in range(VICTIMS)]
            self._tell(connect, run, victims)

    def _tell(
        self, connect: Connect, run: str, victims: Sequence[Task] = (), link: Link | None = None
    ) -> None:
        clients = [connect(run) for _ in range(3)]
        self._judge(self._run([*clients, clients[0]], use_register, victims, link), register_model)
