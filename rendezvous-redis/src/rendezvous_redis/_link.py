"""One connection to one server."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

from redis.exceptions import (
    ConnectionError,
    NoScriptError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from rendezvous_core import Endpoint
from rendezvous_redis._connections import abort, connect, explain_hang_up
from rendezvous_redis._reader import ReplyReader
from rendezvous_redis._scripts import Script
from rendezvous_redis._target import Credentials, Target

T = TypeVar("T")

Command: TypeAlias = tuple[Any, ...]
Address: TypeAlias = Endpoint | str
"""Host and port, or the path of a socket."""


class Link:
    """A connection with a limit on every reply, used by one thread at a time.

    While it is new, ``patience`` is the limit: a slow server would not answer sooner over another one.
    Raises what redis-py raises.
    """

    def __init__(
        self,
        target: Target,
        address: Address,
        timeout: float,
        *,
        patience: float | None = None,
        sentinel: bool = False,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self._patience = timeout if patience is None else patience
        self._tls = target.tls
        self._is_new = True
        credentials: Credentials = target.sentinel_credentials if sentinel else target.credentials
        db = 0 if sentinel else target.db
        self._connection = self._explained(connect, address, credentials, db, target.tls, self._patience)
        self._reader: ReplyReader = self._connection._parser
        self.alive_at = time.monotonic()
        """When the server was last heard of over this connection."""

    @property
    def is_open(self) -> bool:
        """Whether this end of it was not closed."""
        return self._connection._sock is not None

    def send(self, *commands: Command) -> None:
        """Send all ``commands`` in one piece."""
        self._explained(self._connection.write, b"".join(map(_packed, commands)), self._limit)

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
            except (RedisError, OSError):
                if refusal is None:
                    raise
                break  # having refused, the server has hung up
        if refusal is not None:
            raise refusal
        return replies

    def run(self, script: Script, arguments: Sequence[Any]) -> Any:
        """Have the server run ``script``; ``arguments`` are the number of keys, the keys and the rest."""
        with suppress(NoScriptError):
            return self.exchange(("EVALSHA", script.sha, *arguments))[0]
        return self.exchange(("EVAL", script.source, *arguments))[0]

    def read(self) -> Any:
        """Return the next reply; raises it if it is an error, which may end the connection."""
        limit = self._limit
        if not self.has_reply(limit):
            raise TimeoutError(f"no reply within {limit:.3g} s")
        reply = self._explained(self._reader.read_response)
        self.alive_at, self._is_new = time.monotonic(), False
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def read_late(self, timeout: float) -> Any:
        """Return a reply that the server may hold back for ``timeout`` seconds."""
        limit = timeout + self.timeout
        if not self.has_reply(limit):
            raise TimeoutError(f"no reply within {limit:.3g} s")
        return self.read()

    def has_reply(self, timeout: float) -> bool:
        """Wait for a reply to arrive; raises where the server has closed the connection."""
        self._reader.begin(timeout + self.timeout)
        return self._explained(self._reader.can_read, timeout)

    def close(self) -> None:
        """Close the connection; ends a read under way in another thread, which then raises anything."""
        self._connection.disconnect()

    def abort(self) -> None:
        """The same, and what was sent and has not arrived will not do so any more."""
        abort(self._connection)

    @property
    def _limit(self) -> float:
        return self._patience if self._is_new else self.timeout

    def _explained(self, step: Callable[..., T], *arguments: Any) -> T:
        try:
            return step(*arguments)
        except ConnectionError as error:
            if self._is_new:
                explain_hang_up(error, self.address, self._tls, self.timeout)
            raise


def _packed(command: Command) -> bytes:
    words = [word if isinstance(word, bytes) else _encoded(word) for word in command]
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


def _encoded(word: Any) -> bytes:
    if isinstance(word, str):
        return word.encode()  # not str(word), which names the member of an enumeration
    return str(word).encode() if isinstance(word, int | float) else bytes(memoryview(word))
