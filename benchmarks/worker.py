"""A process with one node, or with several: does what the conductor says, and tells when it was done."""

import logging
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, NamedTuple

from benchmarks.contenders import Node, Plan, create

_GLANCE = 0.1
"""Seconds between two looks whether there is something else to do than to wait for news."""


class Event(NamedTuple):
    """What happened to a node; ``at`` is by a clock that all processes of the machine share."""

    seat: int
    kind: str
    at: float
    value: Any = None


class Seat:
    """One node, and the thread that is its agent."""

    def __init__(self, number: int, tell: Callable[[Event], None]) -> None:
        self.number = number
        self._tell = tell
        self._node: Node | None = None
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._is_leaving = self._is_nudged = False
        threading.Thread(target=self._obey, daemon=True).start()

    def order(self, what: str, *arguments: Any) -> None:
        """Begin to do something; `leave` and `nudge` do it beside what is being done."""
        if what in ("leave", "nudge"):
            getattr(self, what)()
        else:
            self._orders.put(lambda: getattr(self, what)(*arguments))

    def open(self, plan: Plan) -> None:
        """Create the handler."""
        self._node = create(plan)
        self._say("opened")

    def join(self) -> None:
        """Ask once."""
        assert self._node is not None
        self._say("asked")
        size = self._node.ask()
        self._say("ranked", size)

    def serve(self) -> None:
        """Ask, and again whenever there are news, as torchrun's agent does; until told to leave."""
        assert self._node is not None
        self._is_leaving = False
        while not self._is_leaving:
            self.join()
            self._is_nudged = False
            while not (self._is_leaving or self._is_nudged):
                if self._node.is_told(_GLANCE):
                    self._say("told")
                    break

    def leave(self) -> None:
        """End `serve`, by leaving."""
        assert self._node is not None
        self._is_leaving = True
        self._say("leaves")
        self._node.leave()

    def nudge(self) -> None:
        """Have `serve` ask again without news."""
        self._is_nudged = True

    def count(self) -> None:
        """Tell what was asked of the backend so far."""
        assert self._node is not None
        self._say("counted", self._node.requests)

    def usage(self) -> None:
        """Tell the processor time of this process so far."""
        self._say("used", time.process_time())

    def _say(self, kind: str, value: Any = None) -> None:
        self._tell(Event(self.number, kind, time.monotonic(), value))

    def _obey(self) -> None:
        while True:
            order = self._orders.get()
            try:
                order()
            except Exception as error:
                self._say("failed", f"{type(error).__name__}: {error}")


def run(pipe: Connection, numbers: range) -> None:
    """Be the nodes of these numbers, until the conductor is gone."""
    logging.disable(logging.WARNING)
    told: SimpleQueue[Event] = SimpleQueue()
    seats = {number: Seat(number, told.put) for number in numbers}

    def send() -> None:
        while True:
            pipe.send(told.get())

    threading.Thread(target=send, daemon=True).start()
    try:
        while True:
            number, what, *arguments = pipe.recv()
            seats[number].order(what, *arguments)
    except (EOFError, OSError):
        os._exit(0)
