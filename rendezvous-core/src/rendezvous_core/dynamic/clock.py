"""The clock of a node."""

import time
from typing import Final

_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def read_clock() -> float:
    """Return the seconds of a clock that never goes back, and goes on while the machine is asleep.

    `time.monotonic` stands still then, so a node that wakes up would take those for living whom it saw
    before it fell asleep. Where there is no better clock (macOS, Windows) it has to do.
    """
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)
