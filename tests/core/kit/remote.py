"""The memory backend and store behind a TCP server: a reference with connections that can break."""

import pickle
import socket
import socketserver
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rendezvous_core import Members, MembershipBackend, RendezvousConnectionError, Store, Token
from rendezvous_core.testing import MemoryBackend, MemoryServer, MemoryStore


class RemoteServer:
    """Serves a `MemoryServer`, whose data outlives its restarts."""

    def __init__(self) -> None:
        self.memory = MemoryServer()
        self.port = 0
        self._connections: set[socket.socket] = set()
        self._server: socketserver.ThreadingTCPServer | None = None
        self.start()

    def start(self) -> None:
        if self._server is None:
            outer = self

            class Handler(socketserver.StreamRequestHandler):
                def handle(self) -> None:
                    outer._serve(self)

            class Server(socketserver.ThreadingTCPServer):
                allow_reuse_address = True
                daemon_threads = True
                request_queue_size = 128

            self._server = Server(("127.0.0.1", self.port), Handler)
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.socket.close()
            for connection in list(self._connections):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, handler: socketserver.StreamRequestHandler) -> None:
        self._connections.add(handler.connection)
        with suppress(OSError, EOFError):
            while True:
                kind, run_id, method, args, kwargs = pickle.load(handler.rfile)
                try:
                    served = kind(self.memory, run_id)
                    answer = True, getattr(served, method)(*args, **kwargs)
                except Exception as error:
                    answer = False, error
                pickle.dump(answer, handler.wfile)
        self._connections.discard(handler.connection)


class Client:
    """Calls the methods of a memory backend or store of one run, one at a time per connection."""

    def __init__(self, port: int, kind: type[MemoryBackend] | type[MemoryStore], run_id: str) -> None:
        self._port, self._kind, self._run_id = port, kind, run_id
        self._idle: list[socket.socket] = []
        self._busy: set[socket.socket] = set()
        self._closed = False

    def call(self, method: str, *args: object, **kwargs: object) -> Any:
        if self._closed:
            raise RendezvousConnectionError("This client was closed.")
        connection: socket.socket | None = None
        try:
            connection = self._idle.pop() if self._idle else self._connect()
            self._busy.add(connection)
            if self._closed:
                raise OSError("it was closed here")
            with connection.makefile("rwb") as stream:
                pickle.dump((self._kind, self._run_id, method, args, kwargs), stream)
                stream.flush()
                good, answer = pickle.load(stream)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            if connection:
                connection.close()
            raise RendezvousConnectionError(f"The server at port {self._port} is lost: {error}") from error
        finally:
            self._busy.discard(connection)
        self._idle.append(connection)
        if not good:
            raise answer
        return answer

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        for connection in list(self._busy):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


class RemoteBackend(MembershipBackend):
    def __init__(self, port: int, run_id: str) -> None:
        self.client = Client(port, MemoryBackend, run_id)
        self.call = self.client.call

    @property
    def name(self) -> str:
        return "remote"

    def get_state(self) -> tuple[bytes, Token] | None:
        found: tuple[bytes, Token] | None = self.call("get_state")
        return found

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        standing: tuple[bytes, Token, bool] | None = self.call("set_state", state, token)
        return standing

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        self.call("put_member", node, record, announce=announce)

    def remove_member(self, node: str) -> None:
        self.call("remove_member", node)

    def members(self) -> Members:
        listing: Members = self.call("members")
        return listing

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        return bool(self.call("wait_for_change", token, timeout, members))

    def close(self) -> None:
        self.client.close()


class RemoteStore(Store):
    def __init__(self, port: int, run_id: str) -> None:
        super().__init__()
        self.call = Client(port, MemoryStore, run_id).call

    def set(self, key: str, value: str | bytes) -> None:
        self.call("set", key, value)

    def get(self, key: str) -> bytes:
        while True:
            self.wait([key])
            (value,) = self.peek_all([key])
            if value is not None:  # else it was deleted meanwhile
                return value

    def add(self, key: str, amount: int) -> int:
        return int(self.call("add", key, amount))

    def append(self, key: str, value: str | bytes) -> None:
        self.call("append", key, value)

    def compare_set(self, key: str, expected_value: str | bytes, desired_value: str | bytes) -> bytes:
        return bytes(self.call("compare_set", key, expected_value, desired_value))

    def check(self, keys: Sequence[str]) -> bool:
        return bool(self.call("check", keys))

    def wait(self, keys: Sequence[str], timeout: Any = None) -> None:
        self.call("wait", keys, self.timeout if timeout is None else timeout)

    def delete_key(self, key: str) -> bool:
        return bool(self.call("delete_key", key))

    def num_keys(self) -> int:
        return int(self.call("num_keys"))

    def list_keys(self) -> list[str]:
        return list(self.call("list_keys"))
