"""One connection to one server."""

from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, NoReturn, TypeAlias

from redis.backoff import NoBackoff
from redis.connection import Connection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError, NoScriptError, ResponseError, TimeoutError
from redis.retry import Retry

from rendezvous_core import Endpoint
from rendezvous_redis._scripts import Script
from rendezvous_redis._target import Credentials, Target
from rendezvous_redis._tls import TlsConnection

# Telling the server the name of the library would cost two round trips, and a permission.
_NAMELESS: dict[str, Any] = (
    {"driver_info": None} if find_spec("redis.driver_info") else {"lib_name": None, "lib_version": None}
)

Command: TypeAlias = tuple[Any, ...]
Address: TypeAlias = Endpoint | str
"""Host and port, or the path of a socket."""


class Link:
    """A connection of redis-py with a limit on every reply, used by one thread at a time.

    It speaks RESP2, whose replies are the same on all servers, and never tries anything twice.
    Raises what redis-py raises.
    """

    def __init__(self, target: Target, address: Address, timeout: float, sentinel: bool = False) -> None:
        self.address = address
        self.timeout = timeout
        credentials: Credentials = target.sentinel_credentials if sentinel else target.credentials
        arguments: dict[str, Any] = {
            "db": 0 if sentinel else target.db,
            "username": credentials.user,
            "password": credentials.password,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "socket_read_size": 65536,
            **_NAMELESS,
        }
        kind: Any = Connection
        if isinstance(address, str):
            kind, arguments["path"] = UnixDomainSocketConnection, address
        else:
            arguments |= {"host": address.host, "port": address.port, "socket_keepalive": True}
            if target.tls is not None:
                kind, arguments["context"] = TlsConnection, target.tls
        self._known: set[str] = set()
        self._connection = kind(**arguments)
        self._connection.connect()
        # By itself redis-py would connect again, unasked and to whoever answers now.
        self._connection.connect = self._connection.connect_check_health = _refuse

    def send(self, *commands: Command) -> None:
        """Send all ``commands`` in one piece."""
        self._connection.send_packed_command(self._connection.pack_commands(commands))

    def exchange(self, *commands: Command) -> list[Any]:
        """Send ``commands`` and return all replies; raises the first error once all have come."""
        self.send(*commands)
        replies: list[Any] = []
        refusal: ResponseError | None = None
        for _ in commands:
            try:
                replies.append(self.read())
            except ResponseError as error:
                refusal = refusal or error
        if refusal is not None:
            raise refusal
        return replies

    def run(self, script: Script, arguments: Sequence[Any]) -> Any:
        """Have the server run ``script``; ``arguments`` are the number of keys, the keys and the rest."""
        if script.sha in self._known:
            with suppress(NoScriptError):
                return self.exchange(("EVALSHA", script.sha, *arguments))[0]
        (reply,) = self.exchange(("EVAL", script.source, *arguments))
        self._known.add(script.sha)
        return reply

    def read(self) -> Any:
        """Return the next reply; raises it if it is an error, which may end the connection."""
        return self._connection.read_response()

    def read_late(self, timeout: float) -> Any:
        """Return a reply that the server may hold back for ``timeout`` seconds."""
        limit = timeout + self.timeout
        if not self.has_reply(limit):
            self.close()
            raise TimeoutError(f"no reply within {limit:.3g} s")
        return self.read()

    def has_reply(self, timeout: float) -> bool:
        """Wait for a reply to arrive; raises where the server has closed the connection."""
        return bool(self._connection.can_read(timeout))

    def close(self) -> None:
        """Close the connection; ends a read under way in another thread, which then raises anything."""
        self._connection.disconnect()


def _refuse(*_: object, **__: object) -> NoReturn:
    raise ConnectionError("the connection was closed")
