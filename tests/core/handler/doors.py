"""A handler in whose driver's place a test gives the answers, while time stands still."""

from datetime import timedelta
from typing import Any

import pytest

from rendezvous_core import (
    DynamicRendezvousHandler,
    RendezvousConnectionError,
    RendezvousTimeout,
)
from rendezvous_core.dynamic.wishes import View
from rendezvous_core.protocol.node import Joined
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore

NOW = 1000.0

JOIN, CLOSE, HEARTBEAT = 40.0, 20.0, 3.0
JOINED = Joined(2, "third", 1, 4)
IN_ROUND = View(JOINED, JOINED, False)

AWAY = RendezvousConnectionError("away")


class Calls(list[tuple[Any, ...]]):
    """What was called, instead of what is there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: object) -> None:
        self._patch, self._where = monkeypatch, where

    def instead_of(self, name: str, answer: object = None, *, error: Exception | None = None) -> None:
        """Have ``name`` do nothing but return ``answer``, or raise ``error``."""

        def call(*arguments: Any, **options: Any) -> Any:
            self.append((name, *arguments, *options.items()))
            if error is not None:
                raise error
            return answer

        self._patch.setattr(self._where, name, call)


def make(close: float = CLOSE, max_nodes: int = 4) -> DynamicRendezvousHandler:
    server = MemoryServer()
    limits = (timedelta(seconds=each) for each in (JOIN, 30, close, HEARTBEAT))
    parts = MemoryStore(server), MemoryBackend(server, "run")
    timeout = RendezvousTimeout(*limits)
    return DynamicRendezvousHandler.from_backend("run", *parts, 2, max_nodes, "10.0.0.1", timeout)
