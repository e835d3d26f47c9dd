"""Waits that end in time, and that signal handlers may interrupt, join and end.

`queue.SimpleQueue` may be used from signal handlers too. But up to Python 3.12 its `get` waits forever
where time runs out between two looks of its own: when the system has the thread pause for the length of a
short timeout, or a signal handler takes longer than what was left.
"""

import math
import threading
import time
from _thread import allocate_lock, get_ident
from collections import deque
from queue import Empty
from typing import Generic, TypeVar

T = TypeVar("T")

_SLICE = 0.5
"""Seconds after which the main thread looks for signals: one that came just before it slept woke nobody."""


def is_main() -> bool:
    """Whether this is the main thread, where signal handlers run."""
    return get_ident() == threading.main_thread().ident


def longest_wait() -> float:
    """Seconds for which this thread may wait at a time: the main one alone has signals to look for."""
    return _SLICE if is_main() else threading.TIMEOUT_MAX


class Inbox(Generic[T]):
    """A queue for one thread: all may put into it, also signal handlers in the middle of anything."""

    def __init__(self) -> None:
        self._messages: deque[T] = deque()
        self._gate = allocate_lock()
        self._gate.acquire()

    def put(self, message: T) -> None:
        """Append ``message``, and wake who waits for one."""
        try:
            self._messages.append(message)
        finally:
            # What a signal handler raises inside of `suppress` would leave the gate shut.
            try:  # noqa: SIM105
                self._gate.release()
            except RuntimeError:  # it is open already
                pass

    def get(self, timeout: float = math.inf) -> T:
        """Take the first message; blocks until there is one.

        Raises:
            Empty: there was none for ``timeout`` seconds.
        """
        deadline, longest = time.monotonic() + timeout, longest_wait()
        while True:
            try:
                return self._messages.popleft()
            except IndexError:
                left = deadline - time.monotonic()
            if left <= 0:
                raise Empty
            self._gate.acquire(timeout=min(left, longest))

    def empty(self) -> bool:
        """Whether there is no message now."""
        return not self._messages
