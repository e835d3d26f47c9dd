"""What a group agrees on, and how long it waits."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from rendezvous_core.ports.limits import (
    DAY,
    MAX_NODES,
    check_duration,
    check_integer,
    check_nodes,
    check_run_id,
    check_seconds,
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
NO_ID = "none"
"""The run in which torchrun's jobs meet that are given no id."""

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
REOPEN = Option(
    "reopen",
    "boolean",
    "whether a node that finds the run closed when it comes begins it anew; without a run id they all do",
    False,
)
METADATA = Option(
    "metadata", "pairs", "what rank policies and people may know of this node, such as its rack"
)

LastCall = Literal["expected", "wait"]

AdmitNewcomers = float | Literal["at_once", "next_round"]
"""A number is of seconds."""


class _Admission(Option):
    """One of two words, or seconds."""

    @property
    def values(self) -> str:
        return "at_once, next_round, or a number of seconds from 0.001 to 86400"

    def _parse(self, value: object) -> Any:
        text = value.strip().lower() if isinstance(value, str) else None
        if text in ("at_once", "next_round"):
            return text
        return check_seconds("", value if text is None else float(text), most=DAY)


LAST_CALL = Option(
    "last_call",
    "choice",
    "when a group that forms again is complete below the maximum: as soon as nobody is expected, or always "
    "after last_call_timeout",
    "expected",
    choices=get_args(LastCall),
)
ADMIT_NEWCOMERS = _Admission(
    "admit_newcomers", "text", "when newcomers call a running round to the next one", "at_once"
)
NODES_MULTIPLE_OF = Option(
    "nodes_multiple_of", "integer", "a world size is a multiple of it", 1, least=1, most=MAX_NODES
)
RANK_HINT = Option(
    "rank_hint",
    "integer",
    "where this node would like to stand among newcomers",
    most=MAX_NODES,
    unset="what the launcher tells: GROUP_RANK, NODE_RANK, SLURM_NODEID and others",
)

SECRET = Option(
    "secret",
    "text",
    "what seals the run: who has not got it can take no part. The list of processes shows what is typed: "
    "better a file, or `RENDEZVOUS_SECRET`",
    secret=True,
    unset="`RENDEZVOUS_SECRET`; else the run is not sealed",
)
SECRET_FILE = Option(
    "secret_file",
    "path",
    "file of the secret, or of several, one a line: the first seals, each opens",
    unset="`RENDEZVOUS_SECRET_FILE`",
)
SEAL_STORE = Option(
    "seal_store", "boolean", "whether the values of the shared store are sealed too, which costs time", False
)

SEALING = (SECRET, SECRET_FILE, SEAL_STORE)
"""The options that have what a run keeps sealed."""

HANDLER_OPTIONS = (
    *_TIMEOUTS.values(),
    KEEP_ALIVE_INTERVAL,
    KEEP_ALIVE_MAX_ATTEMPT,
    LAST_CALL,
    ADMIT_NEWCOMERS,
    NODES_MULTIPLE_OF,
    RANK_HINT,
    REOPEN,
    METADATA,
    *SEALING,
)
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
    """The settings of one handler.

    ``min_nodes``, ``max_nodes``, ``last_call``, ``admit_newcomers`` and ``nodes_multiple_of`` must be the
    same on all nodes.

    Raises:
        ValueError: an empty run id, ``min_nodes`` below one, ``max_nodes`` below ``min_nodes``, a
            ``keep_alive_interval`` that is not from a millisecond to a day, or a
            ``keep_alive_max_attempt`` that is not from 1 to 10000, or both make more than a day; an unknown
            ``last_call`` or ``admit_newcomers``; or no multiple of ``nodes_multiple_of`` within the limits.
    """

    run_id: str
    min_nodes: int
    max_nodes: int
    timeout: RendezvousTimeout
    keep_alive_interval: timedelta
    keep_alive_max_attempt: int
    last_call: LastCall = "expected"
    admit_newcomers: AdmitNewcomers = "at_once"
    nodes_multiple_of: int = 1

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
        multiple = check_integer("nodes_multiple_of", self.nodes_multiple_of, 1, MAX_NODES)
        if most // multiple * multiple < least:
            raise ValueError(
                f"No world size is a multiple of nodes_multiple_of ({multiple}) and within the minimum "
                f"({least}) and the maximum ({most}) number of rendezvous nodes."
            )
        # Integers of numpy and others become Python's: what is written must be readable.
        checked = {
            "min_nodes": least,
            "max_nodes": most,
            "keep_alive_max_attempt": attempts,
            "last_call": LAST_CALL.check(self.last_call),
            "admit_newcomers": ADMIT_NEWCOMERS.check(self.admit_newcomers),
            "nodes_multiple_of": multiple,
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
