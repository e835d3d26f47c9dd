"""What all suites share: declared lacks, patience, and faults on demand."""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, NoReturn, Protocol, TypeVar

import pytest

from rendezvous_core.ports.errors import RendezvousConnectionError

T = TypeVar("T")
_Test = TypeVar("_Test", bound=Callable[..., object])

EFFORT = float(os.environ.get("RENDEZVOUS_KIT_EFFORT") or 1)
"""How many times as long as usual the tests last that find the more, the longer they last."""

CAPABILITIES: Mapping[str, str] = {
    "server": "can be stopped and started by a test",
    "durability": "keeps its data while the server restarts",
    "link": "is reached through a connection that a test can cut",
    "corrupt": "can tell data that was damaged from data that was not",
    "large_values": "holds values of 1 MiB",
    "quiet_heartbeats": "wakes nobody for a heartbeat",
    "leave": "lets a node leave without closing the run",
    "crash": "can have a node fall silent",
    "spares": "has nodes wait while the round is full",
    "settings": "refuses a node whose settings differ",
    "large_groups": "forms rounds of 32 nodes",
    "unreachable_endpoint": "has endpoints at which nobody answers",
    "secret_parameters": "is given passwords",
    "process_factory": "has clients in processes of their own",
    "declared_options": "declares its options",
    "many_runs": "holds several runs at one endpoint",
}
"""What a tested thing may lack, by the name to declare it with in `Suite.lacks`."""


class Server(Protocol):
    """Something that can be made unreachable and reachable again: a real server, or a `Proxy`."""

    def stop(self) -> object:
        """Return when nobody answers any more; connections are lost."""

    def start(self) -> object:
        """Return when it answers again, at the same endpoint and with what it keeps over a restart."""


class Link(Protocol):
    """The connections between the clients and the server; `Proxy` is one for TCP."""

    @property
    def traffic(self) -> int:
        """How often the clients have sent something so far."""

    def cut(self) -> object:
        """Cut the present connections; new ones can be made."""

    def lose_reply(self, after: int) -> AbstractContextManager[threading.Event]:
        """Let ``after`` packets of the server pass, lose the next one, and cut its connection.

        Yields an event that is set when that has happened; ends what has not happened.
        """


def needs(*capabilities: str) -> Callable[[_Test], _Test]:
    """Mark a test that `Suite.lacks` may excuse."""
    assert CAPABILITIES.keys() >= set(capabilities)

    def mark(test: _Test) -> _Test:
        test.needs = capabilities  # type: ignore[attr-defined]
        return test

    return mark


class Suite:
    """Base of the suites. What is not declared here as lacking must work."""

    lacks: ClassVar[Mapping[str, str]] = {}
    """Which of `CAPABILITIES` are not there, with the reason that the skipped tests show."""

    patience: ClassVar[float] = 20.0
    """Seconds within which what must happen happens; only a failing test waits for so long."""

    moment: ClassVar[float] = 0.15
    """Seconds for which tests watch that something does not happen."""

    racers: ClassVar[int] = 8
    """How many clients compete."""

    @pytest.fixture(autouse=True)
    def _excuse(self, request: pytest.FixtureRequest) -> None:
        if unknown := sorted(self.lacks.keys() - CAPABILITIES.keys()):
            pytest.fail(f"{unknown} in lacks is none of {sorted(CAPABILITIES)}.")
        for name in getattr(request.function, "needs", ()):
            if name in self.lacks:
                pytest.skip(f"lacks {name}: {self.lacks[name]}")

    @pytest.fixture
    def run_id(self) -> str:
        """A run id that nobody has used before."""
        return f"kit-{uuid.uuid4().hex}"

    @pytest.fixture
    def server(self) -> Server:
        """Optional: the server behind all clients, to be stopped and started."""
        missing("server", "an object with stop() and start()")

    @pytest.fixture
    def link(self) -> Link:
        """Optional: the link through which the clients of this test reach the server."""
        missing("link", "a rendezvous_core.testing.Proxy through which the factory connects")

    def eventually(self, function: Callable[[], T]) -> T:
        """Call ``function`` until the connection is there again, and return its result."""
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return function()
            except RendezvousConnectionError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def until(self, condition: Callable[[], bool]) -> None:
        """Look at ``condition``, of which nobody tells, until it holds."""
        assert self._comes_true(condition, self.patience), f"did not come true within {self.patience} s"

    def never(self, condition: Callable[[], bool]) -> None:
        """Look at ``condition`` for a moment: it must not hold."""
        assert not self._comes_true(condition, self.moment)

    def _comes_true(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def missing(fixture: str, what: str) -> NoReturn:
    """Refuse to run without a fixture that the author has to supply or to declare as lacking."""
    raise NotImplementedError(
        f"Supply the fixture '{fixture}': {what}. What cannot be supplied is declared: "
        f'lacks = {{"{fixture}": "the reason"}}.'
    )


def required(fixture: str, what: str) -> NoReturn:
    """Refuse to run without a fixture that every author has to supply."""
    raise NotImplementedError(f"Supply the fixture '{fixture}': {what}.")


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Have the server away meanwhile."""
    server.stop()
    try:
        yield
    finally:
        server.start()
