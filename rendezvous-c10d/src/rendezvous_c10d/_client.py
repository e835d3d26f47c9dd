"""A client of a TCPStore."""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from secrets import token_bytes
from struct import pack, unpack

from rendezvous_core.ports.endpoint import Endpoint

_VALIDATE = b"\0" + pack("=I", 0x3C85F7CE)
_SET = b"\x01"
_COMPARE_SET = b"\x02"
_ADD = b"\x04"
_CHECK = b"\x05"
_WAIT = b"\x06"
_NUM_KEYS = b"\x07"
_DELETE_KEY = b"\x08"
_APPEND = b"\x09"
_CANCEL = b"\x0c"
_PING = b"\x0d"
_LIST_KEYS = b"\x11"

_READY = _STOPPED = b"\0"
_CANCELLED = b"\1"

_UNHEARD = 10.0
"""Seconds after which a connection is dead whose other end does not even acknowledge what is sent.

A server that is busy, or suspended, has a kernel that does. Where the way to it was forgotten, as by a
middlebox that drops idle connections, nobody does, and waiting for longer is of no use.
"""

_PROBES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2}
"""When the kernel asks whether the other end of a silent connection is there; it keeps middleboxes awake."""

_LONGEST = 1 << 30
"""Bytes that a call returns: a server that announces more is none, or means harm."""

_EACH = 64
"""Bytes that a value takes beside its own."""

_SLOWEST = 1 << 16
"""Bytes a second at which what a call returns comes at least, once its ``patience`` is over."""

_CHUNK = 1 << 16
_TOGETHER = 256
"""Questions asked at a time, so that neither side waits for the other to read."""


class ProtocolError(Exception):
    """The server speaks something else."""


class Client:
    """A connection to a TCPStore, in torch's own protocol, for one thread at a time.

    torch's client blocks in C++ code that nobody can end, neither with the store nor with the
    process, and it logs two warnings whenever a wait runs out of time, which happens here at each
    keep-alive. It awaits each look by itself, where here what belongs together goes together.
    This protocol is the same from torch 2.5 to 2.14; another one is noticed when connecting.

    The methods are those of torch's stores, and as there `set` and `append` have no answer: they
    are sent with the next call that has one.

    Raises:
        OSError: the server cannot be reached, or does not answer for ``patience`` seconds; so do all
            methods, and the connection is of no more use.
        ProtocolError: the server speaks something else.
    """

    def __init__(self, endpoint: Endpoint, patience: float) -> None:
        self._socket = socket.create_connection(endpoint, patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        unheard = {"TCP_USER_TIMEOUT": int(1000 * min(patience, _UNHEARD))}
        for name, value in {**_PROBES, **unheard}.items():
            if option := getattr(socket, name, None):  # not every system has them all
                self._socket.setsockopt(socket.IPPROTO_TCP, option, max(1, value))
        self.used_at = 0.0
        """For who lends it: when it was last known to work."""
        # With the kernel's own timeouts a call is one system call instead of two.
        self._socket.setblocking(True)
        limit = pack("@ll", int(patience), int(patience % 1 * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._patience = patience
        self._unsent: list[bytes] = []
        self._received = bytearray()
        nonce = token_bytes(4)
        try:
            self._send(_VALIDATE, _PING, nonce)
            answer = self._answer(len(nonce))
        except ConnectionError as error:
            raise ProtocolError(f"hung up on our greeting: {error}") from error
        if answer != nonce:
            raise ProtocolError(f"answered our greeting with {answer!r}")

    def set(self, key: str, value: bytes) -> None:
        """Write a value."""
        self._unsent += [_SET, _key(key), _text(value)]

    def append(self, key: str, value: bytes) -> None:
        """Append to a value."""
        self._unsent += [_APPEND, _key(key), _text(value)]

    def check(self, keys: Sequence[str]) -> bool:
        """Whether all keys exist."""
        self._send(_CHECK, _keys(keys))
        return self._answer(1) == _READY

    def look(self, keys: Sequence[str], absent: bytes) -> list[bytes]:
        """Return the values, ``absent``, which no key holds, in place of those that are missing."""
        values = []
        for start in range(0, len(keys), _TOGETHER):
            some = keys[start : start + _TOGETHER]
            # The legacy server hangs up on whoever gets a key that is missing.
            self._send(*(_COMPARE_SET + _key(key) + 2 * _text(absent) for key in some))
            values += [self._value() for _ in some]
        return values

    def compare_set(self, key: str, expected: bytes, desired: bytes) -> bytes:
        """Write ``desired`` if ``expected`` stands there; return what then does."""
        self._send(_COMPARE_SET, _key(key), _text(expected), _text(desired))
        return self._value()

    def add(self, key: str, amount: int) -> int:
        """Add to an integer."""
        self._send(_ADD, _key(key), pack("=q", amount))
        return self._number()

    def delete_key(self, key: str) -> bool:
        """Remove a key."""
        self._send(_DELETE_KEY, _key(key))
        return self._number() == 1

    def delete_keys(self, keys: Sequence[str]) -> None:
        """Remove keys, many at a time."""
        for start in range(0, len(keys), _TOGETHER):
            some = keys[start : start + _TOGETHER]
            self._send(*(_DELETE_KEY + _key(key) for key in some))
            for _ in some:
                self._number()

    def num_keys(self) -> int:
        """Count the keys."""
        self._send(_NUM_KEYS)
        return self._number()

    def list_keys(self) -> list[str]:
        """Return all keys. Servers know this since torch 2.10; others hang up."""
        self._send(_LIST_KEYS)
        return [self._key_name() for _ in range(self._size(_EACH))]

    def wait(self, keys: Sequence[str], seconds: float) -> bool:
        """Block until all keys exist, at most ``seconds``; ``False`` when the time runs out.

        The server also ends a wait for a key that somebody compared without its being there.
        """
        self._send(_WAIT, _keys(keys))
        if self._is_answered(seconds):
            return self._answer(1) == _STOPPED
        self._send(_CANCEL)
        stopped = self._answer(1) == _STOPPED  # was on its way: the cancellation is answered too
        if stopped and self._answer(1) != _CANCELLED:
            raise TimeoutError("timed out")
        return stopped

    def close(self) -> None:
        """Disconnect; may be called while another thread waits, which raises there."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _send(self, *parts: bytes) -> None:
        message = b"".join((*self._unsent, *parts))
        self._unsent.clear()
        self._expect()
        try:
            self._socket.sendall(message)
        except BlockingIOError as error:
            raise TimeoutError("timed out") from error

    def _expect(self) -> None:
        """Allow for what one call returns from now on."""
        self._left = _LONGEST
        self._deadline = time.monotonic() + self._patience

    def _is_answered(self, seconds: float) -> bool:
        """Wait for an answer at most ``seconds``, however many signals come meanwhile."""
        self._socket.settimeout(seconds)
        try:
            self._receive()
        except TimeoutError as error:
            if error.errno:
                raise  # it is not our time that is over: nobody is there any more
            return False
        finally:
            self._socket.settimeout(None)
            self._expect()
        return True

    def _receive(self) -> None:
        try:
            received = self._socket.recv(_CHUNK)
        except BlockingIOError as error:
            raise TimeoutError("timed out") from error
        if not received:
            raise ConnectionResetError("the connection was closed")
        self._received += received

    def _answer(self, size: int) -> bytes:
        deadline = self._deadline + (_LONGEST - self._left) / _SLOWEST
        while len(self._received) < size:
            self._receive()
            if time.monotonic() > deadline and len(self._received) < size:
                raise TimeoutError("timed out, as the answer comes too slowly")
        answer = bytes(self._received[:size])
        del self._received[:size]
        return answer

    def _number(self) -> int:
        number: int = unpack("=q", self._answer(8))[0]
        return number

    def _size(self, each: int = 1) -> int:
        """Read how many there are of what comes next, of which each takes so many bytes here."""
        size = self._number()
        self._left -= _EACH + size * each
        if size < 0 or self._left < 0:
            raise ProtocolError(f"announced {size} of what comes next")
        return size

    def _value(self) -> bytes:
        return self._answer(self._size())

    def _key_name(self) -> str:
        name = self._value()
        try:
            return name.decode().removeprefix("/")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"names a key that is no text: {name!r:.80}") from error


def _text(value: bytes) -> bytes:
    return pack("=Q", len(value)) + value


def _key(key: str) -> bytes:
    return _text(f"/{key}".encode())


def _keys(keys: Sequence[str]) -> bytes:
    return pack("=Q", len(keys)) + b"".join(map(_key, keys))
