"""Waiting that torchrun's signals interrupt, and nothing else.

Its handlers raise in the main thread, anywhere: inside a client library the exception might be lost in
a callback, or leave half a reply on a connection. So calls are made on threads of their own.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from rendezvous_c10d._threads import start
from rendezvous_core import Store

T = TypeVar("T")


def wait_for(call: Callable[[], T], interrupted: Callable[[], object] | None = None) -> T:
    """Make ``call`` aside and return its result; have it ``interrupted`` when the waiting is."""
    future = start(call)
    try:
        return future.result()
    except BaseException:
        if not future.done() and interrupted:
            start(interrupted)
        raise


class Aside:
    """A store whose methods are all called aside."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found
        return lambda *arguments, **named: wait_for(lambda: found(*arguments, **named))
