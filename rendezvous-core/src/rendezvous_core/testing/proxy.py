"""A TCP proxy under a test's control, to cut connections and to lose replies."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Listens on a free port of the loopback interface and passes on to the server at ``host:port``.

    Is both a `Link` and a `Server` for the suites: while stopped it refuses connections.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._loss: _Loss | None = None
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

    def cut(self) -> None:
        """Cut the present connections; new ones can be made."""
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            connection.close()

    def forget(self) -> None:
        """Pass nothing more on over the present connections, and tell neither end; new ones can be made.

        So does a middlebox on the way that has dropped idle connections from its table.
        """
        with self._lock:
            for connection in self._connections:
                connection.is_forgotten = True

    @contextmanager
    def lose_reply(self, after: int = 0) -> Iterator[threading.Event]:
        """Let ``after`` packets of the server pass, lose the next one, and cut its connection.

        Yields an event that is set when that has happened.
        """
        loss = self._loss = _Loss(after)
        try:
            yield loss.happened
        finally:
            self._loss = None

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
                _in_background(self._accept, self._listener)

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
            _in_background(self._open, listener, client)

    def _open(self, listener: socket.socket, client: socket.socket) -> None:
        try:
            connection = _Connection(client, socket.create_connection(self._target))
        except OSError:
            client.close()
            return
        with self._lock:
            accepted = self._listener is listener
            if accepted:
                self._connections.add(connection)
        if not accepted:
            connection.close()
            return
        _in_background(self._pass_requests, connection)
        self._pass_replies(connection)

    def _pass_requests(self, connection: "_Connection") -> None:
        with suppress(OSError):
            while data := connection.client.recv(65536):
                with self._lock:
                    self._traffic += 1
                if not connection.is_forgotten:
                    connection.server.sendall(data)
        self._drop(connection)

    def _pass_replies(self, connection: "_Connection") -> None:
        with suppress(OSError):
            while data := connection.server.recv(65536):
                loss = self._loss
                if connection.is_forgotten:
                    continue
                if loss is not None and loss.strikes():
                    break
                connection.client.sendall(data)
        self._drop(connection)

    def _drop(self, connection: "_Connection") -> None:
        if connection.is_forgotten:
            return
        with self._lock:
            self._connections.discard(connection)
        connection.close()


class _Connection:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.is_forgotten = False
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class _Loss:
    def __init__(self, after: int) -> None:
        self._lock = threading.Lock()
        self._left = after
        self.happened = threading.Event()

    def strikes(self) -> bool:
        with self._lock:
            self._left -= 1
            if self._left == -1:
                self.happened.set()
                return True
            return False


def _in_background(function: Callable[..., None], *args: object) -> None:
    threading.Thread(target=function, args=args, daemon=True).start()
