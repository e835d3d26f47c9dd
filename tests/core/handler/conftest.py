"""A thread that does not live, and its clock."""

import pytest

from rendezvous_core.dynamic import thread as thread_module
from tests.core.handler.bench import Bench, Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(thread_module, "time", clock)
    monkeypatch.setattr(thread_module, "read_clock", clock.monotonic)
    return clock


@pytest.fixture
def bench(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(clock)
    monkeypatch.setattr(bench.backend, "close", lambda: bench.closed.append(None))
    return bench
