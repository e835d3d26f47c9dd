"""Who of this process waits for what, and the one thread that looks whether it has happened."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

from rendezvous_core.sqlite.events import FileEvents

_RESPITE = 0.001  # seconds; how often a storm of writes that concern nobody here can wake the thread

Row = tuple[Any, ...] | None


class Topic(NamedTuple):
    """Something to wait for: the row that a query yields."""

    query: str
    parameters: tuple[str, ...]


class Waiter:
    """One waiting thread; it sleeps until `ready` holds for the row of its topic."""

    def __init__(self, topic: Topic, ready: Callable[[Row], bool]) -> None:
        self.topic = topic
        self.ready = ready
        self.woken = threading.Event()

    def wait(self, timeout: float) -> bool:
        return self.woken.wait(min(max(timeout, 0), threading.TIMEOUT_MAX))


class Watch:
    """The waiters by topic. Its thread sleeps without end while there are none."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin without waiters and thread: in a forked child there are none."""
        # Reentrant, as `stop` may be called by the garbage collector in the middle of another method.
        self._condition = threading.Condition(threading.RLock())
        self._waiters: dict[Topic, set[Waiter]] = {}
        self._thread: threading.Thread | None = None
        self._stopped = False

    def enter(self, waiter: Waiter) -> None:
        with self._condition:
            self._waiters.setdefault(waiter.topic, set()).add(waiter)

    def leave(self, waiter: Waiter) -> None:
        with self._condition:
            waiters = self._waiters[waiter.topic]
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[waiter.topic]

    def topics(self) -> list[Topic]:
        with self._condition:
            return list(self._waiters)

    def wake(self, topic: Topic, row: Row) -> bool:
        """Wake those whom ``row`` makes ready; whether there were any."""
        with self._condition:
            ready = [waiter for waiter in self._waiters.get(topic, ()) if waiter.ready(row)]
        for waiter in ready:
            waiter.woken.set()
        return bool(ready)

    def wake_all(self) -> None:
        """Let everybody look for himself."""
        with self._condition:
            waiters = [waiter for group in self._waiters.values() for waiter in group]
        for waiter in waiters:
            waiter.woken.set()

    def run(self, path: str, look: Callable[[], bool]) -> None:
        """Make sure that a thread calls ``look`` when ``path`` was touched, while somebody waits.

        ``look`` says whether it woke anybody.
        """
        with self._condition:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(
                    target=self._look_on, args=(path, look), name="rendezvous-sqlite-watch", daemon=True
                )
                thread.start()
                self._thread = thread
            self._condition.notify()

    def stop(self) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify()

    def _look_on(self, path: str, look: Callable[[], bool]) -> None:
        with closing(FileEvents()) as events:
            while self._is_needed():
                events.listen(path)
                if not look():
                    time.sleep(_RESPITE)
                events.wait()

    def _is_needed(self) -> bool:
        with self._condition:
            self._condition.wait_for(lambda: self._stopped or self._waiters)
            return not self._stopped
