"""Waits of tests for what nobody tells them."""

import time
from collections.abc import Callable

PATIENCE = 60.0


def until(condition: Callable[[], object]) -> None:
    """Look at ``condition`` until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"did not come true within {PATIENCE:g} s"
        time.sleep(0.02)


def never(condition: Callable[[], object], seconds: float) -> None:
    """Look at ``condition`` for a time, in which it must not hold."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert not condition()
        time.sleep(0.02)
