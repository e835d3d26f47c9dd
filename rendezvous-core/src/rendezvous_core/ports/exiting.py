"""The order in which a process ends: nodes leave their rounds first, then clients close.

Python runs what is registered with `atexit` in the reverse order of imports, which is nobody's choice.
"""

import atexit
from collections.abc import Callable
from typing import Any, TypeVar

_Call = TypeVar("_Call", bound=Callable[[], Any])

_leaving: list[Callable[[], Any]] = []
_closing: list[Callable[[], Any]] = []


def leave_at_exit(leave: _Call) -> _Call:
    """Have ``leave`` called when the interpreter exits, while all clients still serve."""
    _leaving.append(leave)
    return leave


def close_at_exit(close: _Call) -> _Call:
    """Have ``close`` called when the interpreter exits, and all nodes have left."""
    _closing.append(close)
    return close


@atexit.register
def _exit() -> None:
    for step in (*_leaving, *_closing):
        step()
