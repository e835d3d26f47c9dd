"""A server that answers with whatever it is given, cut anywhere, or without an end."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from rendezvous_core.ports.endpoint import Endpoint


@contextmanager
def hostile(pieces: Sequence[bytes], *, endless: bool = False, silent: bool = False) -> Iterator[Endpoint]:
    """Answer each thing that is sent with the next of ``pieces``, on every connection anew.

    After the last one the server hangs up, keeps silent, or repeats the last one for ever.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            for piece in pieces:
                if not connection.recv(1 << 16):
                    return
                connection.sendall(piece)
            while endless and pieces and pieces[-1] and not over.is_set():
                connection.sendall(pieces[-1])
            if silent:
                over.wait()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield Endpoint("127.0.0.1", listener.getsockname()[1])
    finally:
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
