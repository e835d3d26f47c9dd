"""Parts of a handler that a test drives by itself."""

from types import SimpleNamespace

import pytest

from rendezvous_core import (
    DynamicRendezvousHandler,
)
from rendezvous_core.dynamic import handler as handler_module
from rendezvous_core.dynamic import reporting
from rendezvous_core.dynamic import thread as thread_module
from rendezvous_core.dynamic.driver import Driver
from tests.core.handler.bench import Bench, Clock
from tests.core.handler.doors import NOW, Calls, make


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


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still for handlers."""
    clock = SimpleNamespace(monotonic=lambda: NOW, time=lambda: 100.0)
    for module in (handler_module, reporting):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(handler_module, "read_clock", lambda: NOW)


@pytest.fixture
def handler() -> DynamicRendezvousHandler:
    return make()


@pytest.fixture
def driver(handler: DynamicRendezvousHandler) -> Driver:
    return handler._driver


@pytest.fixture
def calls(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch, driver)
