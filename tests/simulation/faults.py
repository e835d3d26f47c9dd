"""What goes wrong by itself in the simulated world."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """How often things go wrong; probabilities per operation."""

    request_lost: float = 0.0
    reply_lost: float = 0.0
    late: float = 0.0
    """The client gives up, and the operation is applied some time later all the same."""
    lateness: float = 8.0
    """At most so many seconds later."""
    twice: float = 0.0
    """What was answered arrives once more some time later, as where a network repeats it."""
    wake_up_lost: float = 0.0
    latency: float = 0.002
    """Of one way, on average, in seconds."""


NO_FAULTS = Faults()
