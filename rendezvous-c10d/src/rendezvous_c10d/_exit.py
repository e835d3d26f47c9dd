"""Keeps the interpreter from ending while threads are inside torch's C++ code.

A daemon thread that comes back from there after the end has begun is torn down by Python before 3.14
in a way that C++ answers with ``abort``: a program that ended well would die of a signal.
"""

import atexit
import threading
from collections.abc import Callable
from typing import TypeVar

from rendezvous_c10d._errors import StoreConnectionError

T = TypeVar("T")

_PATIENCE = 2.0

_calls = threading.Condition()
_running = 0
_exiting = False


def make(call: Callable[[], T]) -> T:
    """Make a call into C++, unless the end has begun."""
    global _running
    with _calls:
        if _exiting:
            raise StoreConnectionError("The interpreter is exiting.")
        _running += 1
    try:
        return call()
    finally:
        with _calls:
            _running -= 1
            _calls.notify_all()


@atexit.register
def _end() -> None:
    global _exiting
    from rendezvous_core.dynamic.driver import leave_at_exit

    leave_at_exit()  # which may come before or after this function, and needs the stores
    with _calls:
        _exiting = True
        _calls.wait_for(lambda: _running == 0, _PATIENCE)
