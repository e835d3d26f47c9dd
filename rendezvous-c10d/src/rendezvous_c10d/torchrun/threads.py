"""Calls that a signal cannot tear apart."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def start(call: Callable[[], T]) -> Future[T]:
    """Make ``call`` on a daemon thread of its own.

    torchrun turns signals into exceptions of the main thread. There they would strike anywhere: in
    the middle of a client library, or where somebody takes them for a failed operation. Made like
    this, a call is whole, and only the waiting for it is interrupted.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="rendezvous-call", daemon=True).start()
    return future
