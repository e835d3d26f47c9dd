"""Watches: many at a time over one stream.

A watch tells of what happens from its begin on, so whoever waits watches first and looks then. To
watch from a past revision instead would need no look, but etcd lets such watches catch up only
every 100 ms.
"""

import queue
import threading
from collections.abc import Callable, Set
from typing import Any, NamedTuple

import grpc
from pyetcd import etcdrpc as rpc

from rendezvous_core import RendezvousConnectionError
from rendezvous_etcd.v3.channel import Channel, metadata
from rendezvous_etcd.v3.client import Etcd3Client


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
    """What has happened to some keys since the watch began. May be waited for by several threads."""

    def __init__(self, ranges: list[KeyRange]) -> None:
        self.ranges = ranges
        self.puts: dict[bytes, int] = {}
        """The keys that were written, each with the revision of the last time."""
        self.changes: dict[bytes, int] = {}
        """The same for all that were written or deleted."""
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

    def wait_until_begun(self, timeout: float) -> bool:
        """Block until the server has taken the watch on; see `wait`."""
        return self.wait(lambda: self.begun, timeout)

    # Called by the stream

    def begin(self) -> None:
        with self._news:
            self._to_begin -= 1
            self.begun = self._to_begin == 0
            self._news.notify_all()

    def deliver(self, events: Any) -> None:
        with self._news:
            for event in events:
                self.changes[event.kv.key] = event.kv.mod_revision
                if not event.type:
                    self.puts[event.kv.key] = event.kv.mod_revision
            self._news.notify_all()

    def end(self, reason: str) -> None:
        with self._news:
            self._ended = self._ended or reason
            self._news.notify_all()


class Watcher:
    """Opens watches over one stream, which is opened when first needed and again after it broke."""

    def __init__(self, client: Etcd3Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._stream: _Stream | None = None

    def open(self, *ranges: KeyRange) -> Watch:
        """Ask the server to watch ``ranges``; close the watch when it is not needed any more.

        Raises:
            RendezvousConnectionError: the client was closed.
        """
        channel, token = self._client.channel(), self._client.token
        watch = Watch(list(ranges))
        with self._lock:
            if self._stream is None or not self._stream.serves(channel, token):
                if self._stream is not None:
                    self._stream.stop()
                self._stream = _Stream(self._client, channel, token)
            self._stream.create(watch)
        return watch

    def close(self, watch: Watch) -> None:
        """End ``watch``; who waits for it is told so."""
        with self._lock:
            if self._stream is not None:
                self._stream.cancel(watch)
        watch.end("it was closed")


class _Stream:
    """One stream of requests and responses, read by a thread of its own."""

    def __init__(self, client: Etcd3Client, channel: Channel, token: str) -> None:
        self._client, self._channel, self._token = client, channel, token
        self._lock = threading.Lock()
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Servers number watches in the order of the requests. The answers of etcd's proxy come in any order.
        self._asked = 0
        self._watches: dict[int, Watch] = {}
        self._open: set[Watch] = set()
        self._failure: str | None = None
        self._unwanted = False
        try:
            # Without a leader a member would be silent, and its silence taken for calm.
            self._responses = channel.watch(
                iter(self._requests.get, None), metadata=[*metadata(token), ("hasleader", "true")]
            )
        except ValueError:
            self._failure = "its connection was closed"
            return
        threading.Thread(target=self._read, name="rendezvous-etcd-watch", daemon=True).start()

    def serves(self, channel: Channel, token: str) -> bool:
        return self._failure is None and self._channel is channel and self._token == token

    def create(self, watch: Watch) -> None:
        with self._lock:
            if self._failure is not None:
                watch.end(self._failure)
                return
            self._open.add(watch)
            for each in watch.ranges:
                self._watches[self._asked] = watch
                self._asked += 1
                request = rpc.WatchCreateRequest(key=each.key, range_end=each.end)
                self._requests.put(rpc.WatchRequest(create_request=request))

    def cancel(self, watch: Watch) -> None:
        with self._lock:
            self._open.discard(watch)
            for watch_id in [each for each, owner in self._watches.items() if owner is watch]:
                del self._watches[watch_id]
                request = rpc.WatchCancelRequest(watch_id=watch_id)
                self._requests.put(rpc.WatchRequest(cancel_request=request))

    def stop(self) -> None:
        with self._lock:
            if self._failure is None:
                self._unwanted = True
                self._responses.cancel()

    def _read(self) -> None:
        reason = "the server has ended the stream"
        try:
            for response in self._responses:
                self._handle(response)
        except grpc.RpcError as error:
            reason = f"{error.code().name}: {error.details()}"
        except _RefusedError as error:
            reason, self._unwanted = str(error), True
            self._responses.cancel()
        finally:
            with self._lock:
                self._failure = reason
                self._requests.put(None)
                watches, self._open = self._open, set()
            if not self._unwanted:  # others need not find out on their own that this member is of no use
                self._client.leave(self._channel)
            for watch in watches:
                watch.end(reason)

    def _handle(self, response: Any) -> None:
        if response.created and response.canceled:
            # It has no number, and those of later watches are not known any more.
            raise _RefusedError(response.cancel_reason or "the server has refused it")
        with self._lock:
            owner = self._watches.get(response.watch_id)
            if response.canceled:
                self._watches.pop(response.watch_id, None)
        if owner is None:
            return
        if response.canceled:
            owner.end(response.cancel_reason or f"revision {response.compact_revision} was compacted")
        elif response.created:
            owner.begin()
        else:
            owner.deliver(response.events)


class _RefusedError(Exception):
    """A watch was not taken on."""
