"""What a group agrees on, and how long it waits."""

from dataclasses import dataclass
from datetime import timedelta

from rendezvous_core.ports.limits import (
    DAY,
    check_duration,
    check_integer,
    check_nodes,
    check_run_id,
    refusal,
)
from rendezvous_core.ports.options import Option
from rendezvous_core.ports.parameters import RendezvousParameters

JOIN_TIMEOUT = Option("join_timeout", "seconds", "for how long a node waits for its round", 600)
_TIMEOUTS = {
    "join": JOIN_TIMEOUT,
    "last_call": Option(
        "last_call_timeout", "seconds", "for how long late nodes are waited for once the minimum is there", 30
    ),
    "close": Option("close_timeout", "seconds", "for how long closing and leaving are tried", 30),
    "heartbeat": Option(
        "heartbeat_timeout", "seconds", "within which a heartbeat must reach the backend", 5, most=DAY
    ),
}
KEEP_ALIVE_INTERVAL = Option(
    "keep_alive_interval", "seconds", "between two heartbeats of a node", 5, most=DAY
)
KEEP_ALIVE_MAX_ATTEMPT = Option(
    "keep_alive_max_attempt",
    "integer",
    "after so many intervals without a heartbeat a node is dead",
    3,
    least=1,
    most=10_000,
)
METADATA = Option(
    "metadata", "pairs", "what rank policies and people may know of this node, such as its rack"
)

HANDLER_OPTIONS = (*_TIMEOUTS.values(), KEEP_ALIVE_INTERVAL, KEEP_ALIVE_MAX_ATTEMPT, METADATA)
"""The options of the dynamic handler, which every backend has but those that build a handler of their own."""


def read_silence(params: RendezvousParameters) -> float:
    """Return after how many seconds without a heartbeat a node counts as dead."""
    return float(KEEP_ALIVE_INTERVAL.read(params) * KEEP_ALIVE_MAX_ATTEMPT.read(params))


class RendezvousTimeout:
    """The timeouts of a rendezvous; ``None`` takes the default.

    Args:
        join: time within which `next_rendezvous` must complete (600 s).
        last_call: extra time for late nodes once ``min_nodes`` are there (30 s).
        close: time within which closing and leaving must be confirmed (30 s).
        heartbeat: time within which one heartbeat must reach the backend (5 s), at most a day.

    Raises:
        ValueError: a timeout is no ``timedelta``, below a millisecond, or above 31 years.
    """

    def __init__(
        self,
        join: timedelta | None = None,
        last_call: timedelta | None = None,
        close: timedelta | None = None,
        heartbeat: timedelta | None = None,
    ) -> None:
        self._join = self._checked("join", join)
        self._last_call = self._checked("last_call", last_call)
        self._close = self._checked("close", close)
        self._heartbeat = self._checked("heartbeat", heartbeat)

    @classmethod
    def from_params(cls, params: RendezvousParameters) -> "RendezvousTimeout":
        """Read the options that are named as the timeouts here, ``join_timeout`` and so on."""
        return cls(**{name: timedelta(seconds=option.read(params)) for name, option in _TIMEOUTS.items()})

    @staticmethod
    def _checked(name: str, value: timedelta | None) -> timedelta:
        option = _TIMEOUTS[name]
        if value is None:
            return timedelta(seconds=option.default)
        return check_duration(f"The {name} timeout", value, *option.bounds)

    @property
    def join(self) -> timedelta:
        """Time within which the rendezvous must complete."""
        return self._join

    @property
    def last_call(self) -> timedelta:
        """Extra time for late nodes once ``min_nodes`` are there."""
        return self._last_call

    @property
    def close(self) -> timedelta:
        """Time within which closing and leaving must be confirmed."""
        return self._close

    @property
    def heartbeat(self) -> timedelta:
        """Time within which one heartbeat must reach the backend."""
        return self._heartbeat


@dataclass(frozen=True)
class RendezvousSettings:
    """The settings of one handler; ``min_nodes`` and ``max_nodes`` must be the same on all nodes.

    Raises:
        ValueError: an empty run id, ``min_nodes`` below one, ``max_nodes`` below ``min_nodes``, a
            ``keep_alive_interval`` that is not from a millisecond to a day, or a
            ``keep_alive_max_attempt`` that is not from 1 to 10000; or both make more than a day.
    """

    run_id: str
    min_nodes: int
    max_nodes: int
    timeout: RendezvousTimeout
    keep_alive_interval: timedelta
    keep_alive_max_attempt: int

    def __post_init__(self) -> None:
        check_run_id(self.run_id)
        least, most = check_nodes(self.min_nodes, self.max_nodes)
        if not isinstance(self.timeout, RendezvousTimeout):
            raise refusal("The timeout", self.timeout, "a RendezvousTimeout")
        check_duration("The keep-alive interval", self.keep_alive_interval, *KEEP_ALIVE_INTERVAL.bounds)
        lowest, highest = map(int, KEEP_ALIVE_MAX_ATTEMPT.bounds)
        attempts = check_integer("The keep-alive max attempt", self.keep_alive_max_attempt, lowest, highest)
        if (silence := self.keep_alive_interval.total_seconds() * attempts) > DAY:
            raise ValueError(
                f"A node would be dead after {attempts} keep-alive intervals of "
                f"{self.keep_alive_interval.total_seconds():g} s: keep_alive_interval times "
                f"keep_alive_max_attempt ({silence:g} s) must be at most a day ({DAY:g} s)."
            )
        # Integers of numpy and others become Python's: what is written must be readable.
        for name, value in (("min_nodes", least), ("max_nodes", most), ("keep_alive_max_attempt", attempts)):
            object.__setattr__(self, name, value)
