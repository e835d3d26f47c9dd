"""A TCP proxy under a test's control, to cut connections and to lose replies."""

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass


@dataclass(eq=False)
class _Connection:
    client: socket.socket
    server: socket.socket
    muted: bool = False

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Listens on a free port of the loopback interface and passes on to the server at ``host:port``.

    Is both a `Link` and a `Server` for the suites: while stopped it refuses connections.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._traffic = 0
        self._listener: socket.socket | None = None
        self.host = "127.0.0.1"
        self.port = 0
        self.start()

    @property
    def endpoint(self) -> str:
        """Where clients connect, as ``host:port``."""
        return f"{self.host}:{self.port}"

    @property
    def traffic(self) -> int:
        """How often the clients have sent something so far."""
        return self._traffic

    def mute(self) -> None:
        """Lose all replies to the present connections from now on; what they send still arrives."""
        with self._lock:
            for connection in self._connections:
                connection.muted = True

    def cut(self) -> None:
        """Cut the present connections."""
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            connection.close()

    def stop(self) -> None:
        """Cut all connections and refuse new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def start(self) -> None:
        """Accept connections, at the same endpoint as ever."""
        with self._lock:
            if self._listener is None:
                self._listener = socket.create_server((self.host, self.port), backlog=128)
                self.port = self._listener.getsockname()[1]
                threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._open, args=(listener, client), daemon=True).start()

    def _open(self, listener: socket.socket, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        connection = _Connection(client, server)
        with self._lock:
            refused = self._listener is not listener
            if not refused:
                self._connections.add(connection)
        if refused:
            connection.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._pass_on, args=(connection, True), daemon=True).start()
        self._pass_on(connection, False)

    def _pass_on(self, connection: _Connection, upwards: bool) -> None:
        source, target = connection.client, connection.server
        if not upwards:
            source, target = target, source
        with suppress(OSError):
            while data := source.recv(65536):
                if upwards:
                    with self._lock:
                        self._traffic += 1
                elif connection.muted:
                    continue
                target.sendall(data)
        with self._lock:
            self._connections.discard(connection)
        connection.close()
