"""The port of all that a backend holds at one place: which runs there are, and how to remove one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Self


class StoredRun(NamedTuple):
    """What a backend holds of one run, for those who look at many."""

    state: bytes
    """What `RendezvousBackend.get_state` would return of it."""
    members: Mapping[str, bytes]
    """What `MembershipBackend.members` would list; nothing where all is in one register."""


class RunOutline(NamedTuple):
    """What a backend that builds whole handlers tells of a run, where these have a protocol of their own."""

    phase: Literal["joining", "complete", "closed"]
    round: int
    """The round that runs, or is being formed."""
    silences: Sequence[float | None]
    """For how many seconds each participant has been silent, in rank order; ``None`` for one that is gone.
    While a round is being formed, of each node that has come; ``None`` where that cannot be told."""
    waiting: int = 0
    """How many nodes wait for the next round."""


class Runs(ABC):
    """All runs at one endpoint. Takes part in none of them.

    To look changes nothing: it makes no run, and keeps none from expiring. Used by one thread at a time.
    Raises `RendezvousConnectionError` and `RendezvousStateError` as `RendezvousBackend` does. ``with``
    closes it at the end of the block.
    """

    @abstractmethod
    def read(self) -> Mapping[str, StoredRun | RunOutline]:
        """Return the runs that have a state, by their ids. They may be seen at different moments."""

    @abstractmethod
    def delete(self, run_id: str) -> None:
        """Remove all that is stored of a run: state, members, store. It is no error if there is nothing.

        Afterwards the run id is as one that was never used. A node that lives may write its state again:
        who asks for this has made sure that there is none.
        """

    def close(self) -> None:  # noqa: B027 - some have nothing to release
        """Release connections. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
