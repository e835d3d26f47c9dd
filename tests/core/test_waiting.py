"""Queues that signal handlers may use, and whose waits end."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty
from types import FrameType

import pytest

from rendezvous_core.ports.waiting import Inbox

PATIENCE = 30.0


@contextmanager
def alarmed(handle: Callable[[], object], after: float = 0.05) -> Iterator[None]:
    """A signal comes in a moment."""
    former = signal.signal(signal.SIGALRM, lambda number, frame: handle())
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def test_what_comes_first_is_taken_first() -> None:
    inbox: Inbox[int] = Inbox()
    assert inbox.empty()
    inbox.put(1)
    inbox.put(2)
    assert not inbox.empty()
    assert [inbox.get(), inbox.get(timeout=-1)] == [1, 2]
    assert inbox.empty()


@pytest.mark.parametrize("timeout", [-1.0, 0.0, 1e-6, 0.05])
def test_nothing_comes(timeout: float) -> None:
    inbox: Inbox[int] = Inbox()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(Empty) as told:
            inbox.get(timeout=timeout)
        assert time.monotonic() - began >= timeout
        assert told.value.__context__ is None
        inbox.put(1)
        assert inbox.get() == 1


def test_who_waits_is_woken() -> None:
    inbox: Inbox[int] = Inbox()
    got: list[int] = []
    waiting = threading.Thread(target=lambda: got.append(inbox.get()))
    waiting.start()
    inbox.put(7)
    waiting.join(PATIENCE)
    assert got == [7]


def test_a_signal_handler_puts_what_its_thread_waits_for() -> None:
    inbox: Inbox[int] = Inbox()
    with alarmed(lambda: inbox.put(7)):
        assert inbox.get(timeout=PATIENCE) == 7


def test_time_runs_out_in_a_signal_handler() -> None:
    """A queue of the standard library would wait forever, up to Python 3.12."""
    inbox: Inbox[int] = Inbox()
    with alarmed(lambda: threading.Event().wait(0.2)), pytest.raises(Empty):
        inbox.get(timeout=0.1)


@pytest.mark.parametrize("is_open", [False, True])
def test_who_is_interrupted_as_it_puts_wakes_whom_it_has_put_for(is_open: bool) -> None:
    """Be it where any function begins, or one of C has ended: there Python runs signal handlers."""
    left, places = 0, 0

    def interrupt(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        left -= event in ("call", "c_return", "c_exception")
        if left < 0:
            raise KeyboardInterrupt

    while True:
        inbox: Inbox[int] = Inbox()
        if is_open:
            inbox._gate.release()
        left = places
        sys.setprofile(interrupt)
        try:
            inbox.put(7)
        except KeyboardInterrupt:
            assert inbox.empty() or not inbox._gate.locked()
            places += 1
        else:
            break
        finally:
            sys.setprofile(None)
    assert places > 1
