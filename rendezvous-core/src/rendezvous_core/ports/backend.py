"""The ports of a backend: a fenced register and, optionally, a table of members."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Token = Any
"""An opaque fencing token. ``None`` never stands for an existing state."""


class ServerFacts(NamedTuple):
    """What is known of a backend's server, for people: nothing is decided by it."""

    server: str
    """Its name and version."""
    client: str
    """Those of the library that speaks with it."""
    clock: float | None = None
    """Its time, in seconds since the epoch; ``None`` where it does not tell."""
    precision: float = 0.0
    """By how many seconds the clock may be off, as far as it tells."""


class RendezvousBackend(ABC):
    """Holds the state of one run: a single register that changes only by compare-and-set.

    These three members are all that a backend must have; their contract is that of torch's
    ``RendezvousBackend``. With no more than that, core keeps the members inside the register and
    polls it, which serves small groups; see `MembershipBackend` for large ones.

    All methods may be called from several threads at once. They raise
    `RendezvousConnectionError` when the backend cannot be reached, `RendezvousStateError` when what
    it holds cannot be read, and let no exception of a client library out.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The name under which the backend is selected."""

    @property
    def hosts(self) -> Sequence[str] | None:
        """Where the servers are, by name or address: tells which address of this machine others can reach.

        ``("localhost",)`` if only this machine reaches the backend; ``None`` if that is not known.
        """
        return None

    @property
    def place(self) -> str:
        """Where it is, for errors, without secrets; empty where that depends on nothing but the endpoint."""
        return ""

    def server_facts(self) -> ServerFacts | None:
        """Ask the server what ``rdzv doctor`` shows of it; ``None`` where it cannot be asked."""
        return None

    @abstractmethod
    def get_state(self) -> tuple[bytes, Token] | None:
        """Return the state with its fencing token, or ``None`` where there is none.

        Linearizable: a state whose write was acknowledged to anybody is seen.
        """

    @abstractmethod
    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        """Write ``state`` if ``token`` is still the current one; atomically.

        With ``token=None`` the state is written only where there is none. Returns the state that now
        stands, its token, and whether this call wrote it; ``None`` when the write failed and no
        state stands any more (it was lost meanwhile). A token is never current again after another
        write, even one of the same bytes.
        """

    def close(self) -> None:  # noqa: B027 - most backends have nothing to release
        """Release connections. May be called twice; using the backend afterwards is an error.

        Ends, within seconds, whatever wait of this backend is under way in another thread: that returns, or
        raises `RendezvousConnectionError`. Needs no server.
        """


class Members(NamedTuple):
    """What `MembershipBackend.members` returns."""

    records: Mapping[str, bytes]
    """The newest record of each node, by node id."""
    token: Token
    """Hand it to `MembershipBackend.wait_for_change` to be woken by later announcements."""


class MembershipBackend(RendezvousBackend):
    """A backend that also keeps one record per node, so that a write costs the same for any group.

    A record is written only by its own node. Records are opaque bytes here.

    A record stays until somebody removes it: who is silent is the protocol's to tell, and it removes the
    records of the dead. A backend that lets records expire as well, for nodes that nobody is left to
    remove, keeps each for at least twice the longest silence of a node that is alive,
    ``keep_alive_interval * keep_alive_max_attempt`` of its `RendezvousParameters` (15 s by default), and
    refuses options that would have it keep them for less.
    """

    @abstractmethod
    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        """Store the record of ``node``, whole, replacing its former one.

        ``announce`` marks news for the coordinator (an ask, a withdrawal) and must wake every
        `wait_for_change` that watches the members. Heartbeats come without it and must not.
        Keeps the run's data from expiring where the backend lets data expire.
        """

    @abstractmethod
    def remove_member(self, node: str) -> None:
        """Forget the record of ``node``. It is no error when there is none."""

    @abstractmethod
    def members(self) -> Members:
        """List all records. Sees every put that was acknowledged before the call."""

    @abstractmethod
    def wait_for_change(
        self, token: Token | None, timeout: float, members: Token | None = None
    ) -> bool | tuple[bytes, Token]:
        """Block until the state differs from ``token``, at most ``timeout`` seconds.

        ``token=None`` waits for a state to appear. With ``members``, the token of an earlier
        `members`, also wake for an announcing put that this listing did not contain.
        Level-triggered: a change made before the call returns at once. Returns ``False`` when the
        time ran out; ``True`` may be spurious, and a wake-up may be missed if a writer dies in the
        middle: callers read again either way, at the latest after ``timeout``. `close` ends it.

        Where the news come with the state that has been written, with its token as of `get_state`, a backend
        may return these instead of ``True``; others may have written since. That saves each node a read.
        """
