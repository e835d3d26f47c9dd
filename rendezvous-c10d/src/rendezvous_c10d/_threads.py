"""Calls into torch's C++ code, which nothing ends, on threads that can be left behind."""

import os
import time
from _thread import LockType, allocate_lock
from collections.abc import Callable
from typing import TypeVar

from rendezvous_c10d._errors import StoreConnectionError
from rendezvous_core.ports.calls import shielded
from rendezvous_core.ports.exiting import close_at_exit

T = TypeVar("T")

_EXIT_PATIENCE = 2.0

_under_way: set[LockType] = set()
"""One lock for each call, held as long as it is made."""

_exiting = False


def within(seconds: float, call: Callable[[], T]) -> T:
    """Make a call that blocks for ever when the other side is suspended or cut off.

    Raises:
        TimeoutError: it took too long; it goes on, and its result is dropped.
    """
    # A caller that goes on to close its store must not find it held here.
    calls = [call]
    del call

    def make() -> T:
        lock = allocate_lock()
        with lock:
            _under_way.add(lock)
            try:
                if _exiting:
                    raise StoreConnectionError("The interpreter is exiting.")
                return calls.pop()()
            finally:
                _under_way.discard(lock)

    return shielded(make, time.monotonic() + seconds)


@close_at_exit
def _end() -> None:
    """Wait until no thread is inside C++ code.

    One that comes back from there later is torn down by Python before 3.14 in a way that C++ answers
    with ``abort``: a program that ended well would die of a signal.
    """
    global _exiting
    _exiting = True
    deadline = time.monotonic() + _EXIT_PATIENCE
    for lock in list(_under_way):
        lock.acquire(timeout=max(0.0, deadline - time.monotonic()))


# A child has none of the threads of its parent.
os.register_at_fork(after_in_child=_under_way.clear)
