"""Reads what a server sends: within bounds, whoever it is."""

import re
import socket
import time
from typing import Any

from redis._parsers import BaseParser
from redis.exceptions import ConnectionError, InvalidResponse, ResponseError
from redis.exceptions import TimeoutError as NoReplyError

_LONGEST = 1 << 30
"""Bytes of a reply: a server that sends more is none, or means harm."""
_LONGEST_LINE = 1 << 16
"""Bytes of a line, which is a number, a word, or an error."""
_MOST = 1 << 22
"""Elements of a reply, each of which takes some dozen bytes here though it be empty."""
_DEEPEST = 8
"""Lists within each other."""
_SLOWEST = 1 << 16
"""Bytes a second at which a reply comes at least, once its time is over."""

_NUMBER = re.compile(rb"[+-]?[0-9]{1,19}")


class ReplyReader(BaseParser):
    """A parser of RESP2 for a connection of redis-py, which calls what begins with ``on_`` and ``read_``.

    Its own parsers let a reply grow without a bound, nest without one, and take time that is square to
    the length of a line.

    Raises:
        InvalidResponse: that is no reply, or it is too large.
        NoReplyError: it comes too slowly.
    """

    def __init__(self, socket_read_size: int) -> None:
        self._piece = socket_read_size
        self._socket: socket.socket | None = None
        self._timeout = 0.0
        self._received = bytearray()
        self.begin(0.0)

    def begin(self, patience: float) -> None:
        """Expect another reply, for so many seconds."""
        self._size = 0
        self._deadline = time.monotonic() + patience

    def on_connect(self, connection: Any) -> None:
        """Read from ``connection`` from now on."""
        self._socket, self._timeout = connection._sock, connection.socket_timeout
        self._received.clear()
        self.begin(self._timeout)

    def on_disconnect(self) -> None:
        """Read no more."""
        self._socket = None

    def can_read(self, timeout: float) -> bool:
        """Wait for the beginning of a reply."""
        if self._received:
            return True
        try:
            self._receive(timeout)
        except NoReplyError:
            return False
        return True

    def read_response(self, *_: object, **__: object) -> Any:
        """Return a reply of bytes, integers, ``None`` and lists, or the error that it is."""
        self._elements = _MOST
        return self._reply(_DEEPEST)

    def _reply(self, deepest: int) -> Any:
        self._elements -= 1
        if self._elements < 0:
            raise InvalidResponse(f"a reply of more than {_MOST} elements")
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            size = _number(rest)
            return None if size == -1 else self._bulk(size)
        if kind == b":":
            return _number(rest)
        if kind == b"*":
            count = _number(rest)
            if count < -1 or not deepest:
                raise InvalidResponse("lists of an impossible length or depth")
            return None if count == -1 else [self._reply(deepest - 1) for _ in range(count)]
        if kind == b"+":
            return rest
        if kind == b"-":
            return self._error(rest.decode(errors="replace"))
        raise InvalidResponse(f"Protocol Error: {line!r:.80}")

    def _error(self, text: str) -> Exception:
        try:
            error: Exception = self.parse_error(text)  # type: ignore[no-untyped-call]
        except (ValueError, LookupError) as problem:  # a place where it has moved to that is none
            raise InvalidResponse(f"an error that says nothing: {text:.80}") from problem
        if not isinstance(error, ResponseError):
            raise error
        return error

    def _line(self) -> bytes:
        while (end := self._received.find(b"\r\n")) < 0:
            if len(self._received) > _LONGEST_LINE:
                raise InvalidResponse(f"a line of more than {_LONGEST_LINE} bytes")
            self._receive(self._timeout)
        return self._take(end)

    def _bulk(self, size: int) -> bytes:
        if not 0 <= size <= _LONGEST:
            raise InvalidResponse(f"a value of {size} bytes")
        while len(self._received) < size + 2:
            self._receive(self._timeout)
        return self._take(size)

    def _take(self, size: int) -> bytes:
        """Remove what is received, and what ends it."""
        taken = bytes(memoryview(self._received)[:size])
        del self._received[: size + 2]
        return taken

    def _receive(self, timeout: float) -> None:
        # Another thread may close the connection meanwhile.
        source = self._socket
        if source is None:
            raise ConnectionError("the connection was closed")
        try:
            allow(source, timeout)
            received = source.recv(self._piece)
        except TimeoutError as error:
            raise NoReplyError(f"nothing came within {timeout:.3g} s") from error
        except OSError as error:
            raise ConnectionError(f"Error while reading from socket: {error}") from error
        if not received:
            raise ConnectionError("Connection closed by server.")
        self._received += received
        self._size += len(received)
        if self._size > _LONGEST:
            raise InvalidResponse(f"a reply of more than {_LONGEST} bytes")
        if time.monotonic() > self._deadline + self._size / _SLOWEST:
            raise NoReplyError("the reply comes too slowly")


def allow(connected: socket.socket, timeout: float) -> None:
    """Let each step take so many seconds; a system call only where it was another time."""
    if connected.gettimeout() != timeout:
        connected.settimeout(timeout)


def _number(text: bytes) -> int:
    if not _NUMBER.fullmatch(text):
        raise InvalidResponse(f"no number: {text!r:.80}")
    return int(text)
