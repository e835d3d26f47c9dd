"""Calls of the main thread, and the signal handlers that come in between."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rendezvous_core import RendezvousError
from rendezvous_core.ports import calls
from rendezvous_core.ports.calls import shielded

PATIENCE = 30.0


@contextmanager
def on_signal(handler: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Have ``handler`` called on the main thread whenever the function given out is called."""
    former = signal.signal(signal.SIGUSR1, lambda *_: handler())
    main = threading.main_thread().ident
    assert main is not None
    try:
        yield lambda: signal.pthread_kill(main, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, former)


def test_the_main_thread_holds_nothing_while_a_signal_handler_makes_the_same_call() -> None:
    lock, inner = threading.Lock(), threading.Event()

    def call() -> str:
        with lock:
            return "done"

    def outer() -> str:
        with lock:
            interrupt()
        assert inner.wait(PATIENCE)
        return call()

    def handler() -> None:
        assert shielded(call) == "done"
        inner.set()

    with on_signal(handler) as interrupt:
        assert shielded(outer) == "done"


def test_what_a_signal_handler_raises_ends_the_waiting_and_not_the_call() -> None:
    class Interruption(BaseException):
        pass

    release, over = threading.Event(), threading.Event()

    def call() -> None:
        interrupt()
        assert release.wait(PATIENCE)
        over.set()

    def handler() -> None:
        raise Interruption

    with on_signal(handler) as interrupt, pytest.raises(Interruption):
        shielded(call)
    release.set()
    assert over.wait(PATIENCE)


def test_other_threads_make_their_calls_themselves() -> None:
    made_by: list[int] = []
    thread = threading.Thread(target=lambda: shielded(lambda: made_by.append(threading.get_ident())))
    thread.start()
    thread.join(PATIENCE)
    assert made_by == [thread.ident]


def test_an_exception_of_the_call_is_raised() -> None:
    nothing: dict[str, str] = {}
    with pytest.raises(KeyError, match="missing"):
        shielded(lambda: nothing["missing"])


def test_a_child_that_was_forked_in_the_middle_of_a_call_is_told() -> None:
    read, write = os.pipe()

    def handler() -> None:
        if os.fork() == 0:
            forked.append(True)
        over.set()

    forked: list[bool] = []
    over = threading.Event()

    def call() -> None:
        interrupt()
        assert over.wait(PATIENCE)

    with on_signal(handler) as interrupt:
        try:
            shielded(call)
        except RendezvousError as error:
            os.write(write, str(error).encode())
        finally:
            if forked:
                os._exit(0)
    assert os.read(read, 1000) == b"The process was forked in the middle of this call."
    os.wait()
    os.close(read)
    os.close(write)


def test_where_no_thread_can_be_started_the_error_says_what_to_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(calls, "start_new_thread", refuse)
    monkeypatch.setattr(calls, "_idle", [])
    with pytest.raises(RendezvousError, match="ulimit -u"):
        calls.begin(lambda: None)
    assert shielded(lambda: 1) == 1  # better made here than not at all
