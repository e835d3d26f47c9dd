"""Who is measured: by name, how one node of it is made, and beside whom of torch it runs."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from benchmarks.counting import CountingBackend, CountingStore
from rendezvous_core import RendezvousParameters, create_handler
from rendezvous_core.registry import create_backend, create_store

POLL = 0.01
"""Seconds between two looks of a node whose handler cannot wait for news."""


@dataclass(frozen=True)
class Plan:
    """What all nodes of one group are told."""

    contender: str
    endpoint: str
    run_id: str
    min_nodes: int
    max_nodes: int
    keep_alive_interval: float
    keep_alive_max_attempt: int
    last_call: float
    is_counted: bool = False
    """Whether the node counts its calls of the backend, where no server can."""
    secret: str = ""


class Node(Protocol):
    """A handler, as an agent uses it."""

    requests: Counter[str]
    """Calls of the backend, where they are counted."""

    @property
    def lister(self) -> int | None:
        """The thread that has listed the members, as a coordinator's does, where that is counted."""

    def ask(self) -> int:
        """Join the next round; return its size."""

    def is_told(self, seconds: float) -> bool:
        """Wait at most so long for news that call for another round."""

    def is_called(self) -> bool:
        """Whether there are such news."""

    def leave(self) -> None:
        """Withdraw."""


class Contender(NamedTuple):
    """One line of the tables."""

    backend: str
    server: str
    """Which of `servers` it runs on."""
    module: str
    """What a process imports for it."""
    peer: str | None = None
    """The name of torch's contender that it is compared with; ``None`` for those of torch."""
    can_leave: bool = True


_TORCH = "torch.distributed.elastic.rendezvous.etcd_rendezvous_backend"

CONTENDERS = {
    "torch c10d": Contender("c10d", "tcpstore", _TORCH, can_leave=False),
    "torch etcd-v2": Contender("etcd-v2", "etcd", _TORCH, can_leave=False),
    "sqlite": Contender("sqlite", "sqlite", "rendezvous_core.sqlite.plugin", "torch c10d"),
    "redis": Contender("redis", "redis", "rendezvous_redis.plugin", "torch c10d"),
    "etcd-v3": Contender("etcd-v3", "etcd", "rendezvous_etcd.v3.backend", "torch etcd-v2"),
    "etcd-v2": Contender("etcd-v2", "etcd", "rendezvous_etcd.v2.backend", "torch etcd-v2"),
    "c10d": Contender("c10d", "tcpstore", "rendezvous_c10d.plugin", "torch c10d"),
}


def create(plan: Plan) -> Node:
    """Make one node, connected to its server."""
    return (_Ours if CONTENDERS[plan.contender].peer else _Torchs)(plan)


def options(backend: str) -> dict[str, Any]:
    """What a node is told beside its plan: here no node hosts the TCPStore."""
    return {"is_host": False} if backend == "c10d" else {}


class _Ours:
    def __init__(self, plan: Plan) -> None:
        name = CONTENDERS[plan.contender].backend
        params = RendezvousParameters(
            name,
            plan.endpoint,
            plan.run_id,
            plan.min_nodes,
            plan.max_nodes,
            "localhost",
            last_call_timeout=plan.last_call,
            keep_alive_interval=plan.keep_alive_interval,
            keep_alive_max_attempt=plan.keep_alive_max_attempt,
            **({"secret": plan.secret} if plan.secret else {}),
            **options(name),
        )
        backend = create_backend(params)
        store = create_store(params, backend)
        self.requests: Counter[str] = Counter()
        self._counting: CountingBackend | None = None
        if plan.is_counted:
            backend = self._counting = CountingBackend(backend, self.requests)
            store = CountingStore(store, self.requests)
        self._handler = create_handler(store, backend, params)

    def ask(self) -> int:
        return self._handler.next_rendezvous().world_size

    def is_told(self, seconds: float) -> bool:
        return self._handler.wait_for_membership_change(seconds)

    def is_called(self) -> bool:
        return self._handler.num_nodes_waiting() > 0

    @property
    def lister(self) -> int | None:
        return None if self._counting is None else self._counting.lister

    def leave(self) -> None:
        self._handler.leave()


class _Torchs:
    def __init__(self, plan: Plan) -> None:
        from datetime import timedelta

        from torch.distributed.elastic import rendezvous
        from torch.distributed.elastic.rendezvous import (
            c10d_rendezvous_backend,
            dynamic_rendezvous,
            etcd_rendezvous_backend,
        )

        name = CONTENDERS[plan.contender].backend
        modules = {"c10d": c10d_rendezvous_backend, "etcd-v2": etcd_rendezvous_backend}
        params = rendezvous.RendezvousParameters(
            name, plan.endpoint, plan.run_id, plan.min_nodes, plan.max_nodes, "localhost", **options(name)
        )
        backend, store = modules[name].create_backend(params)
        self.requests: Counter[str] = Counter()
        self.lister = None
        self._handler = dynamic_rendezvous.DynamicRendezvousHandler.from_backend(
            plan.run_id,
            store,
            backend,
            plan.min_nodes,
            plan.max_nodes,
            "localhost",
            dynamic_rendezvous.RendezvousTimeout(last_call=timedelta(seconds=plan.last_call)),
            keep_alive_interval=plan.keep_alive_interval,
            keep_alive_max_attempt=plan.keep_alive_max_attempt,
        )

    def ask(self) -> int:
        return int(self._handler.next_rendezvous().world_size)

    def is_told(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self.is_called():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL)
        return True

    def is_called(self) -> bool:
        return bool(self._handler.num_nodes_waiting())

    def leave(self) -> None:
        raise NotImplementedError("torch's handler leaves by closing the run")
