"""A socket whose other end says what is given, and hangs up."""

import socket
from io import BytesIO


class Scripted:
    """As a client sees a socket that is connected."""

    family = socket.AF_INET

    def __init__(self, said: bytes) -> None:
        self._said = BytesIO(said)

    def recv(self, size: int) -> bytes:
        return self._said.read(size)

    def sendall(self, data: object) -> None:
        """Nobody listens."""

    def setsockopt(self, *_: object) -> None:
        """There is nothing to set."""

    gettimeout = settimeout = setblocking = shutdown = setsockopt

    def close(self) -> None:
        """There is nothing to close."""
