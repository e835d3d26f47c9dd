"""One call, interrupted once at each line of ours that its thread passes, on any backend."""

import _thread
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import ClassVar

import pytest

from rendezvous_core import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousGracefulExitError,
    RendezvousParameters,
    RendezvousTimeoutError,
    get_rendezvous_handler,
)
from rendezvous_core.dynamic.handler import DynamicRendezvousHandler
from rendezvous_core.ports import calls
from rendezvous_core.testing.suites.base import EFFORT
from rendezvous_core.testing.suites.threads import start
from tests.interruption.actions import HANDLER, STORE, Action, Subject
from tests.interruption.forks import Fork
from tests.interruption.points import Point

PATIENCE = 30.0
"""Within what everything has to come to an end; nothing that waits for a limit of the user's is near it."""

STRIDE = 4 if EFFORT == 1 else 1
"""Of how many lines one is tried where every change is tested and not all are; thorough tests try each."""

CREATION_STRIDE = 37 if EFFORT == 1 else 5

LOST_THREADS = 6
"""How many threads may be left that are not in the pool: an interrupt may come as one is taken out of it."""

ALL = (*HANDLER, *STORE)

HAPPENS = ("KeyboardInterrupt", "exception", "leave", "shutdown", "again", "fork")

CreateHandler = Callable[[str, int, float], DynamicRendezvousHandler]
"""Create a handler of a run id, with as many nodes a round, and with a join timeout."""

OPTIONS = {"last_call_timeout": 0.05, "close_timeout": 5, "keep_alive_interval": 0.5}


class Stop(Exception):
    """What a user's signal handler raises."""


def _threads() -> int:
    """How many threads there are, without those that wait for the next call."""
    return _thread._count() - len(calls._idle)


class Trial:
    """One call on one handler, and what has to hold when it was interrupted."""

    def __init__(self, create: CreateHandler, action: Action) -> None:
        self._create = create
        self._run_id = uuid.uuid4().hex
        self._action = action
        self._fork = Fork()
        self._closes = action.closes
        self._was_shut_down = "shutdown" in action.name
        in_vain = action.nodes > 1
        self._handler = self._open(0.05 if in_vain else 2 * PATIENCE)
        store = self._handler.next_rendezvous().store if action.joins else None
        self._joined = self._handler.joined
        self._subject = Subject(self._handler, store, "key")

    def _open(self, join: float) -> DynamicRendezvousHandler:
        """Create the handler; within a short ``join`` timeout a busy server may not answer at once."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._create(self._run_id, self._action.nodes, join)
            except RendezvousConnectionError:
                assert time.monotonic() < deadline

    def run(self, number: int, name: str) -> str | None:
        """Have ``name`` happen at the ``number``-th line; return where that was, if there are so many."""
        action = self._action
        self._subject = subject = self._subject._replace(key=f"key {number}")
        if subject.store is not None:
            action.prepare(subject.store, subject.key)
        interruption = {
            "KeyboardInterrupt": self._interrupt,
            "exception": self._stop,
            "leave": self._leave,
            "shutdown": self._shut_down,
            "again": self._again,
            "fork": lambda: self._fork.fork(self._check_child),
            "signal": lambda: signal.raise_signal(signal.SIGUSR1),
        }[name]
        outcome: object = None
        began = time.monotonic()
        with Point(number, interruption) as point:
            try:
                outcome = action.call(subject)
            except BaseException as error:
                outcome = error
        took = time.monotonic() - began
        if self._fork.is_child:
            self._fork.end(lambda: _check_error(outcome))
        if point.place is None and not isinstance(outcome, BaseException):
            return None
        assert took < PATIENCE, f"the call took {took:.1f} s"
        if name in ("KeyboardInterrupt", "exception"):
            assert isinstance(outcome, KeyboardInterrupt | Stop), f"what came is lost: {outcome!r}"
        else:
            _check_error(outcome)
        if name == "fork":
            assert not isinstance(outcome, BaseException), "the parent shall notice nothing"
        self._check(isinstance(outcome, BaseException))
        return point.place

    def close(self) -> None:
        """Shut down."""
        began = time.monotonic()
        self._handler.shutdown()
        assert time.monotonic() - began < PATIENCE

    # What happens

    def _interrupt(self) -> None:
        raise KeyboardInterrupt

    def _stop(self) -> None:
        raise Stop

    def _leave(self) -> None:
        assert self._handler.leave(), "nobody could be told"

    def _shut_down(self) -> None:
        self._closes = self._was_shut_down = True
        assert self._handler.shutdown()

    def _again(self) -> None:
        with suppress(RendezvousError):
            self._action.call(self._subject)

    # What holds afterwards

    def _check(self, has_raised: bool) -> None:
        if self._action.asks and has_raised and not self._has_not_begun():
            self._check_withdrawal()
        store = self._subject.store
        if store is not None:
            error = start(self._use_store).exception(PATIENCE)
            assert error is None or (self._was_shut_down and isinstance(error, RendezvousError)), repr(error)
        waiting = start(self._handler.num_nodes_waiting).result(PATIENCE)
        goes = "leave" in self._action.name
        assert waiting == 0 or goes or not self._fork.has_happened, "the parent shall notice nothing"
        if store is None or self._action in HANDLER or self._was_shut_down:
            self._check_next_ask()

    def _use_store(self) -> None:
        store = self._subject.store
        assert store is not None
        store.set("after", "value")
        # Others may have formed a round or two meanwhile, and then forget what this one stored.
        assert store.peek_all(["after"]) in ([b"value"], [None])

    def _has_not_begun(self) -> bool:
        """Whether the ask has left no trace: the node is in the round in which it was."""
        with suppress(RendezvousClosedError):
            self._handler._driver.members(time.monotonic() + PATIENCE)  # heard after all that came before
        return self._joined is not None and self._handler.joined == self._joined

    def _check_withdrawal(self) -> None:
        """As many others as make a round are ranked at once: the node that raised is not."""
        others = [self._create(self._run_id, self._action.nodes, PATIENCE) for _ in range(self._action.nodes)]
        try:
            infos = [future.result(PATIENCE) for future in [start(each.next_rendezvous) for each in others]]
            assert {(info.rank, info.world_size) for info in infos} == {
                (rank, len(others)) for rank in range(len(others))
            }
        except (RendezvousClosedError, RendezvousGracefulExitError):
            assert self._closes
        finally:
            for each in others:
                each.leave()
                each._driver.stop(time.monotonic() + PATIENCE, close_backend=True)

    def _check_next_ask(self) -> None:
        try:
            info = start(self._handler.next_rendezvous).result(PATIENCE)
            assert (info.rank, info.world_size) == (0, 1)
        except (RendezvousClosedError, RendezvousGracefulExitError):
            assert self._closes
        except (RendezvousTimeoutError, RendezvousConnectionError):
            assert self._action.nodes > 1

    def _check_child(self) -> None:
        for action in HANDLER:
            if action.name != "what it is":
                with pytest.raises(RendezvousError, match="forked child"):
                    action.call(self._subject)
        if self._subject.store is not None:
            with suppress(RendezvousError):
                self._subject.store.set("child", "value")
                assert self._subject.store.get("child") == b"value"
                assert "child" in self._subject.store.list_keys()


def _check_error(outcome: object) -> None:
    """Nothing but the errors of this project comes out of a call."""
    if isinstance(outcome, BaseException) and not isinstance(outcome, RendezvousError):
        raise AssertionError(f"it raised {outcome!r}") from outcome


class Interruptions:
    """Mixed into a test class with a `create` fixture."""

    always: ClassVar[frozenset[str]] = frozenset({"KeyboardInterrupt", "leave"})
    """What happens where every change is tested; the rest is for thorough tests."""
    at_each: ClassVar[frozenset[str]] = frozenset()
    """What of it happens at each line also there."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every call with everything that may happen to it."""
        if "action" not in metafunc.fixturenames:
            return
        metafunc.parametrize(
            ("action", "name"),
            [
                pytest.param(action, name, id=f"{action.name}-{name}", marks=self._marks(action, name))
                for action in ALL
                for name in HAPPENS
            ],
        )

    def _marks(self, action: Action, name: str) -> list[pytest.MarkDecorator]:
        is_slow = action.nodes > 1 and name != "KeyboardInterrupt"
        return [] if name in self.always and not is_slow else [pytest.mark.thorough]

    @pytest.fixture(scope="class")
    @classmethod
    def create(cls) -> Iterator[CreateHandler]:
        """Creates handlers over a server that all tests of the class use."""
        raise NotImplementedError

    def test_creation(self, create: CreateHandler, record_property: Callable[[str, object], None]) -> None:
        """What is raised while a handler is made comes out, at whatever line, and the next one works."""

        def interrupt() -> None:
            raise KeyboardInterrupt

        create(uuid.uuid4().hex, 1, PATIENCE).shutdown()  # what is imported is so now
        places: list[str] = []
        while True:
            with Point(1 + len(places) * CREATION_STRIDE, interrupt) as point:
                try:
                    handler = create(uuid.uuid4().hex, 1, PATIENCE)
                except KeyboardInterrupt:
                    assert point.place
                    places.append(point.place)
                    continue
            assert point.place is None, f"what came at {point.place} is lost"
            break
        record_property("points", (type(self).__name__, "in creation", len(places)))
        assert handler.next_rendezvous().world_size == 1
        handler.shutdown()

    def test_each_line(
        self, create: CreateHandler, action: Action, name: str, record_property: Callable[[str, object], None]
    ) -> None:
        """See the module."""
        before = _threads()
        places: list[str] = []
        pid = os.getpid()
        trial: Trial | None = None
        keeps = action in STORE and name not in {"shutdown", "leave"}
        misses = 0
        for number in range(1, 10_000, 1 if name in self.at_each else STRIDE):
            trial = trial or Trial(create, action)
            try:
                place = trial.run(number, name)
            except BaseException as error:
                error.add_note(f"{name} at line number {number} of {action.name}; the last: {places[-1:]}")
                raise
            finally:
                if os.getpid() != pid:
                    os._exit(3)
            if not keeps:
                trial.close()
                trial = None
            misses = 0 if place else misses + 1
            if misses > 1:
                break
            if place:
                places.append(place)
        if trial is not None:
            trial.close()
        record_property("points", (type(self).__name__, name, len(places)))
        deadline = time.monotonic() + PATIENCE
        while (left := _threads() - before) > LOST_THREADS:
            assert time.monotonic() < deadline, f"{left} threads are left"
            time.sleep(0.01)


def creator(backend: str, endpoint: str) -> CreateHandler:
    """Create handlers as users do."""

    def create(run_id: str, nodes: int, join: float) -> DynamicRendezvousHandler:
        params = RendezvousParameters(
            backend, endpoint, run_id, nodes, nodes, "localhost", join_timeout=join, **OPTIONS
        )
        handler = get_rendezvous_handler(params)
        assert isinstance(handler, DynamicRendezvousHandler)
        return handler

    return create
