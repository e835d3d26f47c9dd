"""What a group agrees on, and how long it waits."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


class RendezvousTimeout:
    """The timeouts of a rendezvous; ``None`` takes the default.

    Args:
        join: time within which `next_rendezvous` must complete (600 s).
        last_call: extra time for late nodes once ``min_nodes`` are there (30 s).
        close: time within which closing and leaving must be confirmed (30 s).
        heartbeat: time within which one heartbeat must reach the backend (5 s).

    Raises:
        ValueError: a timeout is not positive.
    """

    _DEFAULTS: ClassVar[dict[str, timedelta]] = {
        "join": timedelta(seconds=600),
        "last_call": timedelta(seconds=30),
        "close": timedelta(seconds=30),
        "heartbeat": timedelta(seconds=5),
    }

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
    def _checked(cls, name: str, value: timedelta | None) -> timedelta:
        if value is None:
            return cls._DEFAULTS[name]
        if value <= timedelta(0):
            raise ValueError(f"The {name} timeout ({value}) must be positive.")
        return value

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
            ``keep_alive_interval`` that is not positive, or ``keep_alive_max_attempt`` below one.
    """

    run_id: str
    min_nodes: int
    max_nodes: int
    timeout: RendezvousTimeout
    keep_alive_interval: timedelta
    keep_alive_max_attempt: int

    def __post_init__(self) -> None:
        if not self.run_id:
            raise ValueError("The run id must be a non-empty string.")
        if self.min_nodes < 1:
            raise ValueError(f"The minimum number of nodes ({self.min_nodes}) must be greater than zero.")
        if self.max_nodes < self.min_nodes:
            raise ValueError(
                f"The maximum number of nodes ({self.max_nodes}) must be greater than or equal to "
                f"the minimum number of nodes ({self.min_nodes})."
            )
        if self.keep_alive_interval <= timedelta(0):
            raise ValueError(f"The keep-alive interval ({self.keep_alive_interval}) must be positive.")
        if self.keep_alive_max_attempt < 1:
            raise ValueError(
                f"The keep-alive max attempt ({self.keep_alive_max_attempt}) must be greater than zero."
            )
