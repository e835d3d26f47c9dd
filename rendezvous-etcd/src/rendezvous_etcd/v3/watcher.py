"""Opens watches: one over a call of its own, or many at a time over one stream."""

import queue
import threading
from collections.abc import Callable, Sequence, Set
from typing import Any

import grpc
from pyetcd import etcdrpc as rpc

from rendezvous_core import RendezvousConnectionError
from rendezvous_etcd.v3.channel import Channel, metadata
from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.watch import KeyRange, Watch

_ENDED = "the server has ended the stream"
_CLOSED = "its connection was closed"


class Watcher:
    """Opens the watches of one client; the stream when it is first needed, and again after it broke."""

    def __init__(self, client: Etcd3Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._stream: _Stream | None = None
        self.lasts = True
        """Whether no watch that was to last has been ended by its server."""

    def open_lasting(self, watched: KeyRange, kept: Set[bytes]) -> Watch:
        """Ask the server to watch something for as long as the connection is there, which costs least.

        A thread reads that sleeps until there are news; a stream of requests takes grpcio three, which
        look up fifteen times a second. Closing such a watch only ends the waits for it: grpcio does not
        clear away after a call of this kind that is cancelled. A server that ends the first one, as etcd's
        proxy does once its client has said all, is told by the stream from then on.

        Raises:
            RendezvousConnectionError: the client was closed.
        """
        watch = Watch([watched], kept)
        if not self.lasts:
            self._take_on(watch)
            return watch
        channel, token = self._client.channel(), self._client.token
        try:
            responses = channel.watch_alone(_creation(watched), metadata=_metadata(token))
        except ValueError:
            watch.end(_CLOSED)
            return watch
        _begin(lambda: self._follow(channel, responses, watch))
        return watch

    def open(self, *ranges: KeyRange) -> Watch:
        """Ask the server to watch ``ranges``; close the watch when it is not needed any more.

        Raises:
            RendezvousConnectionError: the client was closed.
        """
        watch = Watch(list(ranges))
        self._take_on(watch)
        return watch

    def close(self, watch: Watch) -> None:
        """End ``watch``; who waits for it is told so."""
        with self._lock:
            if self._stream is not None:
                self._stream.cancel(watch)
        watch.end("it was closed")

    def _follow(self, channel: Channel, responses: Any, watch: Watch) -> None:
        reason = _ENDED
        try:
            for response in responses:
                if response.canceled:
                    self.lasts = False  # this call goes on to no end, and none is to join it
                    watch.end(_cancellation(response))
                elif response.created:
                    watch.begin()
                else:
                    watch.deliver(response.events)
            self.lasts = False
        except grpc.RpcError as error:
            reason = _description(error)
            if error.code() is grpc.StatusCode.UNKNOWN:  # what etcd's proxy says
                self.lasts = False
            else:
                self._client.leave(channel)
        finally:
            if self.lasts or watch.begun or watch.has_ended or not self._moves(watch):
                watch.end(reason)

    def _moves(self, watch: Watch) -> bool:
        """Move a watch that has not begun to the stream; whether that goes."""
        try:
            self._take_on(watch)
        except RendezvousConnectionError:
            return False
        return True

    def _take_on(self, watch: Watch) -> None:
        channel, token = self._client.channel(), self._client.token
        with self._lock:
            if self._stream is None or not self._stream.serves(channel, token):
                if self._stream is not None:
                    self._stream.stop()
                self._stream = _Stream(self._client, channel, token)
            self._stream.create(watch)


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
            self._responses = channel.watch(iter(self._requests.get, None), metadata=_metadata(token))
        except ValueError:
            self._failure = _CLOSED
            return
        _begin(self._read)

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
                self._requests.put(_creation(each))

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
        reason = _ENDED
        try:
            for response in self._responses:
                self._handle(response)
        except grpc.RpcError as error:
            reason = _description(error)
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
            owner.end(_cancellation(response))
        elif response.created:
            owner.begin()
        else:
            owner.deliver(response.events)


class _RefusedError(Exception):
    """A watch was not taken on."""


def _begin(read: Callable[[], None]) -> None:
    threading.Thread(target=read, name="rendezvous-etcd-watch", daemon=True).start()


def _creation(watched: KeyRange) -> rpc.WatchRequest:
    return rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=watched.key, range_end=watched.end))


def _metadata(token: str) -> Sequence[tuple[str, str]]:
    # Without a leader a member would be silent, and its silence taken for calm.
    return [*metadata(token), ("hasleader", "true")]


def _description(error: Any) -> str:
    return f"{error.code().name}: {error.details()}"


def _cancellation(response: Any) -> str:
    return response.cancel_reason or f"revision {response.compact_revision} was compacted"
