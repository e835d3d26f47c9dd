"""Calls on threads of their own.

Python runs signal handlers in the main thread, between two of its instructions: not while C++ code
blocks there, and, where a handler raises as torchrun's do, anywhere in the middle of a client
library. Made on another thread, a call is whole, and only the waiting for it is interrupted.
"""

import concurrent.futures
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from rendezvous_c10d._errors import StoreConnectionError
from rendezvous_core.ports.exiting import close_at_exit

T = TypeVar("T")

_EXIT_PATIENCE = 2.0


def start(call: Callable[[], T]) -> Future[T]:
    """Make ``call`` on a daemon thread of its own."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="rendezvous-call", daemon=True).start()
    return future


def within(seconds: float, call: Callable[[], T]) -> T:
    """Make a call into torch's C++ code; raise ``TimeoutError`` when it takes too long.

    Such a call blocks for ever when the other side is suspended or cut off, and nothing ends it: so
    it is made by a thread that can be left behind.
    """
    future: Future[T] = Future()
    with _lock:
        if _exiting:
            raise StoreConnectionError("The interpreter is exiting.")
        worker = _idle.pop() if _idle else _Worker()
        _under_way.add(future)
    future.add_done_callback(_under_way.discard)
    worker.calls.put((future, call))
    return future.result(seconds)


class _Worker:
    """A daemon thread that makes one call after another: starting one costs more than most calls."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        threading.Thread(target=self._run, name="rendezvous-c10d", daemon=True).start()

    def _run(self) -> None:
        while True:
            self._make_one()
            _idle.append(self)

    def _make_one(self) -> None:
        future, call = self.calls.get()
        try:
            result = call()
        except BaseException as error:
            future.set_exception(error)
        else:
            # A caller that goes on to close its store must not find it held here.
            del call
            future.set_result(result)


_lock = threading.RLock()  # a signal handler may come in between
_idle: list[_Worker] = []
_under_way: set[Future[Any]] = set()
_exiting = False


@close_at_exit
def _end() -> None:
    """Wait until no thread is inside C++ code.

    One that comes back from there later is torn down by Python before 3.14 in a way that C++ answers
    with ``abort``: a program that ended well would die of a signal.
    """
    global _exiting
    with _lock:
        _exiting = True
        calls = list(_under_way)
    concurrent.futures.wait(calls, _EXIT_PATIENCE)


def _forget() -> None:
    """A child has none of the threads of its parent, nor anybody who would open what they locked."""
    global _lock
    _lock = threading.RLock()
    _idle.clear()
    _under_way.clear()


os.register_at_fork(after_in_child=_forget)
