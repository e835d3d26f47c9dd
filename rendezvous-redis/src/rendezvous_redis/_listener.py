"""Waits for data on all connections of a process, in one thread."""

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis.exceptions import ConnectionError

from rendezvous_redis._turns import PATIENCE, end_turn, take_turn


class _Waiter:
    """A thread that waits for data."""

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.has_turn = False


class Listener:
    """Wakes those who wait for data one after another, each with a turn.

    One write wakes all nodes of a process. Were each to wait by itself, they would be back at the same
    moment, and the fight of hundreds for the interpreter's lock takes longer than what they have to do.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._is_running = False

    @contextmanager
    def wait(self, source: socket.socket, timeout: float) -> Iterator[None]:
        """Block until there is data, or `close`, at most ``timeout`` seconds; then do what is within."""
        waiter = _Waiter()
        with self._lock:
            descriptor = source.fileno()
            if descriptor < 0:
                raise ConnectionError("the connection was closed")
            self._selector.register(descriptor, selectors.EVENT_READ, waiter)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="rendezvous-redis-listener", daemon=True).start()
        try:
            if not waiter.gate.acquire(timeout=timeout) and not self._forget(descriptor, waiter):
                waiter.gate.acquire()
            yield
        finally:
            self._forget(descriptor, waiter)
            if waiter.has_turn:
                end_turn()

    def close(self, source: socket.socket, close: Callable[[], object]) -> None:
        """Have ``close`` close ``source``, and whoever waits there go on."""
        with self._lock:
            descriptor = source.fileno()
            key = self._selector.get_map().get(descriptor) if descriptor >= 0 else None
            if key is not None:
                self._selector.unregister(descriptor)
            close()
        if key is not None:
            key.data.gate.release()

    def _forget(self, descriptor: int, waiter: _Waiter) -> bool:
        """Watch no longer for ``waiter``; ``False`` if that is over already."""
        with self._lock:
            key = self._selector.get_map().get(descriptor)
            if key is None or key.data is not waiter:
                return False
            self._selector.unregister(descriptor)
            return True

    def _run(self) -> None:
        while True:
            ready = self._selector.select()
            deadline = time.monotonic() + PATIENCE
            for key, _ in ready:
                if self._forget(key.fd, key.data):
                    key.data.has_turn = take_turn(deadline - time.monotonic())
                    key.data.gate.release()


listener = Listener()


def _renew() -> None:
    listener.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_renew)
