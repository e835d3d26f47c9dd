"""For backends whose clients are Python: where many nodes share a process, few of them talk at a time.

Were each of hundreds of threads to wait for its server by itself, they would all be back at the same
moment, and their fight for the interpreter's lock around every system call takes longer than the work.
So one thread waits for all connections (`listener`), and threads take turns (`turn`).
"""

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TURNS = 16
PATIENCE = 2.0
"""Seconds after which a thread talks out of turn: others may be held up by a silent server."""

_turns = threading.Semaphore(TURNS)


@contextmanager
def turn() -> Iterator[None]:
    """Let few threads at a time do what is within, which should be short."""
    granted = take_turn(PATIENCE)
    try:
        yield
    finally:
        if granted:
            end_turn()


def take_turn(timeout: float) -> bool:
    """Wait for a turn at most ``timeout`` seconds; whether there is one, to be ended."""
    return _turns.acquire(timeout=max(0.0, timeout))


def end_turn() -> None:
    """Give the turn to the next one."""
    _turns.release()


class _Waiter:
    """A thread that waits for data."""

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.has_turn = False


class Listener:
    """Wakes those who wait for data one after another, each with a turn."""

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
                raise ConnectionResetError("the connection was closed")
            self._selector.register(descriptor, selectors.EVENT_READ, waiter)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="rendezvous-listener", daemon=True).start()
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
    global _turns
    _turns = threading.Semaphore(TURNS)
    listener.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_renew)
