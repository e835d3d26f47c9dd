"""What a watch tells, and how to wait for it.

A watch tells of what happens from its begin on, so whoever waits watches first and looks then. To
watch from a past revision instead would need no look, but etcd lets such watches catch up only
every 100 ms.
"""

import threading
from collections.abc import Callable, Set
from typing import Any, NamedTuple

from rendezvous_core import RendezvousConnectionError


class KeyRange(NamedTuple):
    """What to watch: the keys from ``key`` up to ``end``, or ``key`` alone."""

    key: bytes
    end: bytes = b""


class WatchEndedError(RendezvousConnectionError):
    """The watch is over: the stream broke, or the server could not keep up. Watch again, and look.

    Attributes:
        begun: whether the server had taken the watch on.
    """

    def __init__(self, reason: str, begun: bool) -> None:
        super().__init__(f"A watch of etcd has ended: {reason}.")
        self.begun = begun


class Watch:
    """What has happened to some keys since the watch began. May be waited for by several threads.

    Of the keys ``kept`` it also keeps what was written.
    """

    def __init__(self, ranges: list[KeyRange], kept: Set[bytes] = frozenset()) -> None:
        self.ranges, self.kept = ranges, kept
        self.puts: dict[bytes, int] = {}
        """The keys that were written, each with the revision of the last time."""
        self.changes: dict[bytes, int] = {}
        """The same for all that were written or deleted."""
        self.revision = 0
        """The latest one that it has told of."""
        self._values: dict[bytes, bytes] = {}
        self.begun = False
        self._to_begin = len(ranges)
        self._ended: str | None = None
        self._news = threading.Condition()

    @property
    def has_ended(self) -> bool:
        """Whether it tells of nothing new any more."""
        return self._ended is not None

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Block until ``condition`` of this watch holds, at most ``timeout`` seconds; tell whether it does.

        Raises:
            WatchEndedError: the watch will not tell of it any more.
        """
        with self._news:
            self._news.wait_for(lambda: self._ended is not None or condition(), max(0.0, timeout))
            if condition():
                return True
            if self._ended is not None:
                raise WatchEndedError(self._ended, self.begun)
            return False

    def wait_for_puts(self, keys: Set[bytes], timeout: float) -> bool:
        """Block until all ``keys`` were written; see `wait`."""
        return self.wait(lambda: keys <= self.puts.keys(), timeout)

    def latest(self) -> tuple[int, dict[bytes, bytes]] | None:
        """What the keys that are kept hold, if all were written last at the same revision; and that one."""
        with self._news:
            revisions = {self.changes.get(key) for key in self.kept}
            if len(revisions) != 1 or self._values.keys() < self.kept:
                return None
            return self.changes[next(iter(self.kept))], dict(self._values)

    def wait_until_begun(self, timeout: float) -> bool:
        """Block until the server has taken the watch on; see `wait`."""
        return self.wait(lambda: self.begun, timeout)

    # Called by what reads the server's responses

    def begin(self) -> None:
        with self._news:
            self._to_begin -= 1
            self.begun = self._to_begin == 0
            self._news.notify_all()

    def deliver(self, events: Any) -> None:
        with self._news:
            for event in events:
                self.changes[event.kv.key] = self.revision = event.kv.mod_revision
                if event.type:
                    self._values.pop(event.kv.key, None)
                    continue
                self.puts[event.kv.key] = event.kv.mod_revision
                if event.kv.key in self.kept:
                    self._values[event.kv.key] = event.kv.value
            self._news.notify_all()

    def end(self, reason: str) -> None:
        with self._news:
            self._ended = self._ended or reason
            self._news.notify_all()
