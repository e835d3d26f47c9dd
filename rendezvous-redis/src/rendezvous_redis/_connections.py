"""The connections of redis-py, taught to tell what the server said before it hung up."""

import re
import socket
import ssl
import struct
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, NoReturn

from redis.backoff import NoBackoff
from redis.connection import Connection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError, RedisError
from redis.exceptions import TimeoutError as NoReplyError
from redis.retry import Retry

from rendezvous_core import Endpoint
from rendezvous_redis._reader import ReplyReader, allow
from rendezvous_redis._target import Credentials

_PIECE = 1 << 20
"""How many bytes must pass within the time limit."""

# Telling the server the name of the library would cost two round trips, and a permission.
_NAMELESS: dict[str, Any] = (
    {"driver_info": None} if find_spec("redis.driver_info") else {"lib_name": None, "lib_version": None}
)
_KEEP_ALIVE = {
    getattr(socket, name): value
    for name, value in (
        ("TCP_KEEPIDLE", 15),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 15_000),
    )
    if hasattr(socket, name)  # Linux has them all
}
"""Idle connections stay in the tables of middleboxes; dead ones, and what was sent there, end."""

_HANG_UP = re.compile("Connection closed by server|Error while (reading|writing)")

_ABORT = struct.pack("ii", 1, 0)


class UnlikeError(RedisError):
    """TLS is spoken by one end only."""


def connect(
    address: Endpoint | str,
    credentials: Credentials,
    db: int,
    tls: ssl.SSLContext | None,
    timeout: float,
) -> Any:
    """Open a connection to ``address`` with a limit on every step. Raises what redis-py raises.

    It speaks RESP2, whose replies are the same on all servers, and never tries anything twice.
    """
    arguments: dict[str, Any] = {
        "db": db,
        "username": credentials.user,
        "password": credentials.password,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "socket_read_size": 65536,
        "parser_class": ReplyReader,
        **_NAMELESS,
    }
    kind: Any
    if isinstance(address, str):
        kind, arguments["path"] = _SocketConnection, address
    else:
        kind = _PlainConnection
        arguments |= {
            "host": address.host,
            "port": address.port,
            "socket_keepalive": True,
            "socket_keepalive_options": _KEEP_ALIVE,
        }
        if tls is not None:
            kind, arguments["context"] = _TlsConnection, tls
    connection = kind(**arguments)
    connection.connect()
    # By itself redis-py would connect again, unasked and to whoever answers now.
    connection.connect = connection.connect_check_health = _refuse
    return connection


def explain_hang_up(
    error: ConnectionError, address: Endpoint | str, tls: ssl.SSLContext | None, timeout: float
) -> None:
    """Raise what is behind ``error`` if by it the server has hung up on a connection that is new to it."""
    if not _HANG_UP.match(str(error)):
        return
    if tls is None and isinstance(address, Endpoint) and _speaks_tls(address, timeout):
        raise UnlikeError("it wants TLS") from error
    raise ConnectionError(f"it hangs up: {error}") from error


def abort(connection: Any) -> None:
    """Close ``connection``; what was sent and has not arrived will not do so any more."""
    sock = connection._sock
    if sock is not None and sock.family != socket.AF_UNIX:
        with suppress(OSError):  # closed meanwhile
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    connection.disconnect()


class _Candid:
    """A mixin: when writing fails, what the server had said before counts, such as that it is too much."""

    _sock: Any
    _parser: Any
    socket_timeout: Any

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """See redis-py."""
        self.write(b"".join(command), self.socket_timeout)

    def write(self, data: bytes, timeout: float) -> None:
        """Send all of ``data``, each piece of it within ``timeout`` seconds."""
        sock = self._sock
        if sock is None:
            _refuse()
        try:
            allow(sock, timeout)
            view = memoryview(data)
            for start in range(0, len(view), _PIECE):
                sock.sendall(view[start : start + _PIECE])
        except TimeoutError as error:
            raise NoReplyError("Timeout writing to socket") from error
        except OSError as error:
            self._parser.begin(timeout)
            self.read_response(disconnect_on_error=False)  # type: ignore[attr-defined]
            raise ConnectionError(f"Error while writing to socket: {error}") from error


class _PlainConnection(_Candid, Connection):
    pass


class _SocketConnection(_Candid, UnixDomainSocketConnection):
    pass


class _TlsConnection(_Candid, Connection):
    """redis-py's connection over TLS, with a context that is made once.

    Its own class reads all files anew for every connection, and trusts the authorities of the system
    beside those that it is given.
    """

    def __init__(self, context: ssl.SSLContext, **arguments: Any) -> None:
        self._context = context
        super().__init__(**arguments)  # type: ignore[no-untyped-call]

    def _connect(self) -> ssl.SSLSocket:
        plain = super()._connect()  # type: ignore[no-untyped-call]
        try:
            secured = self._context.wrap_socket(
                plain, server_hostname=self.host, do_handshake_on_connect=False
            )
        except BaseException:
            plain.close()
            raise
        try:
            secured.do_handshake()
        except TimeoutError as error:
            secured.close()
            if _speaks_plainly(Endpoint(self.host, self.port), self.socket_timeout or 1.0):
                raise UnlikeError("it speaks no TLS") from error
            raise ssl.SSLError("the server does not reply to the handshake") from error
        except BaseException:
            secured.close()
            raise
        return secured


def _refuse(*_: object, **__: object) -> NoReturn:
    raise ConnectionError("the connection was closed")


def _speaks_plainly(address: Endpoint, timeout: float) -> bool:
    """Whether somebody there answers as Redis does without TLS."""
    try:
        with socket.create_connection((address.host, address.port), timeout) as plain:
            plain.sendall(b"PING\r\n")
            return plain.recv(1) in (b"-", b"+")
    except OSError:
        return False


def _speaks_tls(address: Endpoint, timeout: float) -> bool:
    """Whether somebody there answers a handshake; nothing else is told to him."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address.host, address.port), timeout) as plain,
            context.wrap_socket(plain, server_hostname=address.host),
        ):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False
