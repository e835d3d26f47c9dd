"""The clock that nodes live by."""

import time
from types import SimpleNamespace

import pytest

from rendezvous_core.dynamic import clock


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no clock that counts sleep")
def test_it_counts_the_time_that_the_machine_was_asleep() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= clock.read_clock() <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_of_two_clocks_the_one_that_counts_sleep_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = SimpleNamespace(monotonic=lambda: 1.0, clock_gettime={7: 2.0}.get)
    monkeypatch.setattr(clock, "time", clocks)
    for boottime, reads in ((7, 2.0), (None, 1.0)):
        monkeypatch.setattr(clock, "_BOOTTIME", boottime)
        assert clock.read_clock() == reads


def test_without_such_a_clock_the_monotonic_one_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_BOOTTIME", None)
    before = time.monotonic()
    assert before <= clock.read_clock() <= time.monotonic()
