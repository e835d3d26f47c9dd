"""Watches: many at a time over one stream, each from a revision that its owner has seen."""

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
from pyetcd import etcdrpc as rpc

from rendezvous_core import RendezvousConnectionError
from rendezvous_etcd.v3.client import Channel, Etcd3Client, metadata


class Event(NamedTuple):
    """A key was written or deleted."""

    key: bytes
    value: bytes | None
    """``None``: deleted."""
    revision: int


class KeyRange(NamedTuple):
    """What to watch: the keys from ``key`` up to ``end``, or ``key`` alone."""

    key: bytes
    end: bytes = b""


class WatchEndedError(RendezvousConnectionError):
    """The watch is over: read again, then watch from there.

    The stream broke, or the events since the revision are not to be had any more.

    Attributes:
        begun: whether the server had taken the watch on.
    """

    def __init__(self, reason: str, begun: bool) -> None:
        super().__init__(f"A watch of etcd has ended: {reason}.")
        self.begun = begun


class Watch:
    """Tells what happened to some keys after a revision. Used by one thread."""

    def __init__(self, ranges: Iterable[KeyRange], revision: int) -> None:
        self.ranges = list(ranges)
        self.revision = revision
        self.begun = False
        self._inbox: queue.SimpleQueue[list[Event] | WatchEndedError] = queue.SimpleQueue()

    def next(self, timeout: float) -> list[Event]:
        """Return what happened, in order, or nothing when ``timeout`` seconds have passed.

        Raises:
            WatchEndedError: there is nothing more to come.
        """
        try:
            found = self._inbox.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return []
        if isinstance(found, WatchEndedError):
            raise found
        return found

    def deliver(self, events: list[Event]) -> None:
        """Called by the stream."""
        if events:
            self._inbox.put(events)

    def begin(self, revision: int) -> None:
        """Called by the stream when the server, which is at ``revision``, has taken the watch on."""
        self.begun = True
        if revision < self.revision:
            self.fail("the server has lost data")

    def fail(self, reason: str) -> None:
        """Called by the stream."""
        self._inbox.put(WatchEndedError(reason, self.begun))


class Watcher:
    """Opens watches over one stream, which is opened when first needed and again after it broke."""

    def __init__(self, client: Etcd3Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._stream: _Stream | None = None

    @contextmanager
    def watch(self, ranges: Iterable[KeyRange], revision: int) -> Iterator[Watch]:
        """Watch ``ranges`` for what happens after ``revision``.

        Raises:
            RendezvousConnectionError: the client was closed.
        """
        watch = Watch(ranges, revision)
        stream = self._open()
        stream.create(watch)
        try:
            yield watch
        finally:
            stream.cancel(watch)

    def _open(self) -> "_Stream":
        channel, token = self._client.channel(), self._client.token
        with self._lock:
            stream = self._stream
            if stream is None or not stream.serves(channel, token):
                if stream is not None and stream.is_open:
                    stream.end()
                stream = self._stream = _Stream(self._client, channel, token)
            return stream


class _Stream:
    """One stream of requests and responses, read by a thread of its own."""

    def __init__(self, client: Etcd3Client, channel: Channel, token: str) -> None:
        self._client, self._channel, self._token = client, channel, token
        self._lock = threading.Lock()
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # The server answers requests for watches in their order, with the ids that it has chosen.
        self._pending: deque[Watch] = deque()
        self._watches: dict[int, Watch] = {}
        self._parts: dict[Watch, int] = {}
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

    @property
    def is_open(self) -> bool:
        return self._failure is None

    def serves(self, channel: Channel, token: str) -> bool:
        return self.is_open and self._channel is channel and self._token == token

    def create(self, watch: Watch) -> None:
        with self._lock:
            if self._failure is not None:
                watch.fail(self._failure)
                return
            self._parts[watch] = len(watch.ranges)
            for each in watch.ranges:
                self._pending.append(watch)
                self._requests.put(
                    rpc.WatchRequest(
                        create_request=rpc.WatchCreateRequest(
                            key=each.key, range_end=each.end, start_revision=watch.revision + 1
                        )
                    )
                )

    def cancel(self, watch: Watch) -> None:
        with self._lock:
            self._parts.pop(watch, None)
            for watch_id in [each for each, owner in self._watches.items() if owner is watch]:
                self._cancel(watch_id)

    def end(self) -> None:
        self._unwanted = True
        self._requests.put(None)
        self._responses.cancel()

    def _cancel(self, watch_id: int) -> None:
        self._watches.pop(watch_id, None)
        self._requests.put(rpc.WatchRequest(cancel_request=rpc.WatchCancelRequest(watch_id=watch_id)))

    def _read(self) -> None:
        reason = "the server has ended the stream"
        try:
            for response in self._responses:
                self._handle(response)
        except grpc.RpcError as error:
            reason = f"{error.code().name}: {error.details()}"
        finally:
            with self._lock:
                self._failure = reason
                self._requests.put(None)
                watches, self._parts = list(self._parts), {}
            if not self._unwanted:  # other calls need not find out on their own that the member is of no use
                self._client.leave(self._channel)
            for watch in watches:
                watch.fail(reason)

    def _handle(self, response: Any) -> None:
        with self._lock:
            if response.created:
                watch = self._pending.popleft()
                if response.canceled:
                    if watch in self._parts:
                        watch.fail(response.cancel_reason or "refused")
                elif watch in self._parts:
                    self._watches[response.watch_id] = watch
                    watch.begin(response.header.revision)
                else:
                    self._cancel(response.watch_id)
                return
            owner = self._watches.get(response.watch_id)
            if owner is None:
                return
            if response.canceled:
                del self._watches[response.watch_id]
                compacted = f"all before revision {response.compact_revision} was compacted"
                owner.fail(compacted if response.compact_revision else response.cancel_reason)
                return
        owner.deliver(
            [
                Event(each.kv.key, None if each.type else each.kv.value, each.kv.mod_revision)
                for each in response.events
            ]
        )
