"""What all suites share: declared lacks, patience, and faults on demand."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, NoReturn, Protocol, TypeVar

import pytest

from rendezvous_core._errors import RendezvousConnectionError

T = TypeVar("T")
_Test = TypeVar("_Test", bound=Callable[..., object])


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

    def mark(test: _Test) -> _Test:
        test.needs = capabilities  # type: ignore[attr-defined]
        return test

    return mark


class Suite:
    """Base of the suites. What is not declared here as lacking must work."""

    lacks: ClassVar[Mapping[str, str]] = {}
    """What the tested thing cannot do, with the reason that the skipped tests show."""

    patience: ClassVar[float] = 20.0
    """Seconds within which what must happen happens; only a failing test waits for so long."""

    moment: ClassVar[float] = 0.2
    """Seconds for which tests watch that something does not happen."""

    racers: ClassVar[int] = 8
    """How many clients compete."""

    @pytest.fixture(autouse=True)
    def _excuse(self, request: pytest.FixtureRequest) -> None:
        known = {name for test in map(self.__getattribute__, dir(self)) for name in needed(test)}
        if unknown := sorted(self.lacks.keys() - known):
            pytest.fail(f"{unknown} in lacks is not among what this suite can excuse: {sorted(known)}.")
        for name in needed(request.function):
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


def needed(test: object) -> tuple[str, ...]:
    """The capabilities that a test was marked with."""
    found: tuple[str, ...] = getattr(test, "needs", ())
    return found


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
