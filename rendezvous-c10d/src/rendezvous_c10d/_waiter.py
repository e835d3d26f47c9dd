"""Waits for keys of a TCPStore."""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from secrets import token_bytes
from struct import pack

from rendezvous_core.endpoint import Endpoint

_VALIDATE = b"\0" + pack("=I", 0x3C85F7CE)
_PING = b"\x0d"
_WAIT = b"\x06"
_CANCEL = b"\x0c"
_STOPPED = b"\0"
_CANCELLED = b"\1"


class ProtocolError(Exception):
    """The server speaks something else."""


class Waiter:
    """A connection to a TCPStore that does nothing but wait, in torch's own protocol.

    torch's client blocks in C++ code that nobody can end, neither with the store nor with the
    process, and it logs two warnings whenever its time runs out, which happens here at each keep-alive.
    This protocol is the same from torch 2.5 to 2.13; another one is noticed when connecting.

    Raises:
        OSError: the server cannot be reached, or does not answer for ``patience`` seconds; so do all
            methods, and the connection is of no more use.
        ProtocolError: the server speaks something else.
    """

    def __init__(self, endpoint: Endpoint, patience: float) -> None:
        self._patience = patience
        self._socket = socket.create_connection(endpoint, patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        nonce = token_bytes(4)
        try:
            self._socket.sendall(_VALIDATE + _PING + nonce)
            answer = self._answer(len(nonce))
        except ConnectionError as error:
            raise ProtocolError(f"hung up on our greeting: {error}") from error
        if answer != nonce:
            raise ProtocolError(f"answered our greeting with {answer!r}")

    def wait(self, keys: Sequence[str], seconds: float) -> bool:
        """Block until all keys exist, at most ``seconds``; ``False`` when the time runs out."""
        names = [f"/{key}".encode() for key in keys]
        self._socket.sendall(
            _WAIT + pack("=Q", len(names)) + b"".join(pack("=Q", len(name)) + name for name in names)
        )
        try:
            stopped = self._answer(1, seconds) == _STOPPED
        except TimeoutError:
            self._socket.sendall(_CANCEL)
            stopped = self._answer(1) == _STOPPED  # which was on its way; the cancellation is answered too
            if stopped and self._answer(1) != _CANCELLED:
                raise
        return stopped

    def close(self) -> None:
        """Disconnect; may be called while another thread waits, which raises there."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _answer(self, size: int, seconds: float | None = None) -> bytes:
        deadline = time.monotonic() + (self._patience if seconds is None else seconds)
        answer = b""
        while len(answer) < size:
            # No time at all would mean not to block, which is another error.
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            received = self._socket.recv(size - len(answer))
            if not received:
                raise ConnectionResetError("the connection was closed")
            answer += received
        return answer
