"""Calls on threads of their own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start(call: Callable[[], T]) -> Future[T]:
    """Make ``call`` on a daemon thread of its own.

    Python runs signal handlers in the main thread, between two of its instructions: not while C++
    code blocks there, and, where a handler raises as torchrun's do, anywhere in the middle of a
    client library. Made like this, a call is whole, and only the waiting for it is interrupted.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="rendezvous-call", daemon=True).start()
    return future


def within(seconds: float, call: Callable[[], T]) -> T:
    """Make ``call``, which may block in C++ for ever; raise ``TimeoutError`` when it takes too long.

    Only a daemon thread, which holds up nobody's end, makes it itself.
    """
    if threading.current_thread().daemon:
        return call()
    return start(call).result(seconds)
