"""Calls that signal handlers may interrupt, and make again, at any point.

Python runs signal handlers on the main thread, between any two of its instructions. Where one comes
while that thread holds a lock, and needs the lock itself, both wait forever; where one raises, a client
is left in the middle of a message. So what holds locks, or speaks with a server, is done on another
thread when the main thread asks for it: that one only waits, holding nothing.

Nothing here takes a lock of Python's own: not `threading.Thread.start`, not a `threading.Event`.
"""

import functools
import math
import os
import time
from _thread import start_new_thread
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousError
from rendezvous_core.ports.waiting import Inbox, is_main

T = TypeVar("T")
P = ParamSpec("P")

_Calls = SimpleQueue[Callable[[], None]]
_Answer = Inbox["_Result"]

_idle: list[_Calls] = []
"""The queues of the threads that wait for a call; taken and given back in one step each."""

_awaited: list[_Answer] = []


class NoAnswerError(RendezvousConnectionError, TimeoutError):
    """A call took too long."""


class _Result(NamedTuple):
    value: Any
    error: BaseException | None


def shielded(call: Callable[[], T], deadline: float = math.inf) -> T:
    """Return what ``call()`` returns, or raise what it raises; made elsewhere if this is the main thread.

    When a signal handler raises meanwhile, or with a ``deadline`` (of `time.monotonic`) time runs out, the
    call goes on, and its result is dropped.

    Raises:
        NoAnswerError: it took too long.
    """
    if not is_main() and deadline == math.inf:
        return call()
    answer: _Answer = Inbox()
    _awaited.append(answer)
    try:
        try:
            begin(lambda: answer.put(_outcome(call)))
        except RendezvousError:
            return call()  # better here than not at all, as at the end of the interpreter
        try:
            result = answer.get(timeout=deadline - time.monotonic())
        except Empty:
            raise NoAnswerError("There was no answer in time.") from None
    finally:
        _awaited.remove(answer)
    try:
        if result.error is not None:
            raise result.error
        return cast("T", result.value)
    finally:
        del result  # which holds the error, whose traceback holds this frame


def shielded_method(method: Callable[P, T]) -> Callable[P, T]:
    """Return ``method`` so that its calls are `shielded`."""

    @functools.wraps(method)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        return shielded(lambda: method(*arguments, **options))

    return call


def begin(call: Callable[[], None]) -> None:
    """Make ``call``, which must not raise, on a daemon thread, and do not wait for it.

    Raises:
        RendezvousError: the system lets no thread start.
    """
    try:
        calls = _idle.pop()
    except IndexError:
        calls = SimpleQueue()
        start(_work, calls)
    calls.put(call)


def start(function: Callable[..., None], *arguments: Any) -> None:
    """Run ``function`` on a daemon thread of its own; raises as `begin` does."""
    try:
        start_new_thread(function, arguments)
    except RuntimeError as error:
        raise RendezvousError(
            f"The system starts no more threads ({error}): raise its limit (ulimit -u), or the container's."
        ) from error


def _work(calls: _Calls) -> None:
    while True:
        call = calls.get()
        call()
        del call  # what it held must not live as long as this thread sleeps
        _idle.append(calls)


def _outcome(call: Callable[[], Any]) -> _Result:
    try:
        return _Result(call(), None)
    except BaseException as error:
        return _Result(None, error)


def _forget() -> None:
    """In a forked child nobody works any more: whoever waits there must not wait forever."""
    _idle.clear()
    for answer in _awaited:
        answer.put(_Result(None, RendezvousError("The process was forked in the middle of this call.")))


os.register_at_fork(after_in_child=_forget)
