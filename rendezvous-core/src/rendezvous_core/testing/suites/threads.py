"""Threads for tests: their results are awaited, and none that hangs outlives the process."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


def start(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Run ``function`` in a daemon thread."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def together(functions: Sequence[Callable[[], T]], patience: float) -> list[T]:
    """Run ``functions`` at the same time, and return their results in the same order."""
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], T]) -> T:
        barrier.wait(patience)
        return function()

    return [future.result(patience) for future in [start(run, function) for function in functions]]


def is_blocked(future: Future[T], moment: float) -> bool:
    """Whether the thread of ``future`` is still at it after a moment; raises what it raised."""
    try:
        future.result(moment)
    except TimeoutError:
        if future.done():
            raise  # the function's own error
        return True
    return False
