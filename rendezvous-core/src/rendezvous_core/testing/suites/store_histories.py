"""Whether the keys of a store are linearizable, and its queues deliver each item once."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from rendezvous_core.ports.store import Store
from rendezvous_core.testing.linearizability import UNKNOWN, Operation, key_model
from rendezvous_core.testing.linearizability.client import Task
from rendezvous_core.testing.linearizability.journal import Event, Journal, gather
from rendezvous_core.testing.linearizability.queues import EMPTY
from rendezvous_core.testing.linearizability.workloads import QUEUE, pop, use_store
from rendezvous_core.testing.suites.base import Link, needs
from rendezvous_core.testing.suites.histories import VICTIMS, Histories, times
from rendezvous_core.testing.suites.store_fixtures import StoreFixtures

Connect = Callable[..., Store]


class StoreHistories(Histories, StoreFixtures):
    """What clients do to a key at the same time has an order that explains all answers."""

    @pytest.fixture
    def process_factory(self, store_factory: Callable[[str], Any]) -> Callable[[str], Any]:
        """Optional: as ``store_factory``, but taken by pickle; that very factory, where pickle takes it."""
        return self._portable(store_factory, "store_factory")

    def test_history(self, connect: Connect, run_id: str) -> None:
        """Reads are never stale, and every change is atomic."""
        for turn in times():
            self._tell(connect, f"{run_id}-{turn}")

    @needs("link")
    def test_history_with_lost_connections(self, connect: Connect, run_id: str, link: Link) -> None:
        """Nothing is done twice, or told as done or not done where that is not known."""
        for turn in times():
            self._tell(connect, f"{run_id}-{turn}", link=link)

    @needs("process_factory")
    def test_history_with_killed_clients(
        self, connect: Connect, run_id: str, process_factory: Callable[[str], Any]
    ) -> None:
        """What a client that is killed was about to do is done whole, or not at all."""
        for turn in times():
            run = f"{run_id}-{turn}"
            victims = [Task(process_factory, run, f"victim{each}", use_store) for each in range(VICTIMS)]
            self._tell(connect, run, victims)

    def _tell(
        self, connect: Connect, run: str, victims: Sequence[Task] = (), link: Link | None = None
    ) -> None:
        clients = [connect(run) for _ in range(3)]
        keys: defaultdict[str, list[Operation]] = defaultdict(list)
        for operation in self._run([*clients, clients[0]], use_store, victims, link):
            keys[operation.key].append(operation)
        keys[QUEUE] += self._drain(clients[1])
        self._judge_queue(keys.pop(QUEUE))
        for key in keys:
            self._judge(keys[key], key_model)

    def _drain(self, store: Store) -> list[Operation]:
        """Take what is left in the queue."""
        store.set_timeout(self.patience)
        events: list[Event] = []
        journal = Journal("last", events.append)
        while (item := journal.call(QUEUE, "queue_pop", (), partial(pop, store))) is not EMPTY:
            assert item is not UNKNOWN or len(events) < 10_000, "the queue cannot be emptied"
        return gather(events)
