"""Queues that signal handlers may use, and whose waits end."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty

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


def test_who_is_interrupted_as_it_puts_has_put() -> None:
    """Be it between what it does for that."""

    class Interrupting(Inbox[int]):
        def interrupt(self) -> None:
            raise KeyboardInterrupt

    inbox = Interrupting()
    messages = inbox._messages

    class Messages:
        def append(self, message: int) -> None:
            messages.append(message)
            inbox.interrupt()

    inbox._messages = Messages()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        inbox.put(7)
    assert not inbox._gate.locked()
