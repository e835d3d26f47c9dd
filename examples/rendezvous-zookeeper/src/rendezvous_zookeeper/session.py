"""A session with ZooKeeper: its requests, its errors as rendezvous errors, and a bell for its watches."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    BadVersionError,
    KazooException,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import CREATOR_ALL_ACL

from rendezvous_core import RendezvousConnectionError, parse_endpoints

PORT = 2181

MAX_VALUE = 1_000_000
"""ZooKeeper refuses requests of 1 MiB (its ``jute.maxbuffer``) by cutting the connection."""

_RECONNECT = {"max_tries": -1, "delay": 0.05, "backoff": 2, "max_delay": 1.0}


class Session:
    """One session, shared by the backend and the store of a handler. Used from several threads.

    Args:
        endpoint: ``host[:port]``, or several of them separated by commas.
        read_timeout: seconds to wait for a connection, and then for an answer.
        session_timeout: seconds without contact after which ZooKeeper forgets the session.
        auth: ``user:password``; what the session creates is then readable by that user alone.

    Raises:
        ValueError: the endpoint is wrong.
        RendezvousConnectionError: no server answers.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        read_timeout: float = 10.0,
        session_timeout: float = 10.0,
        auth: str | None = None,
    ) -> None:
        self._hosts = ",".join(str(each) for each in parse_endpoints(endpoint, PORT))
        self._timeout = read_timeout
        self._bell = threading.Condition()
        self._rings = 0
        self._closed = False
        self._client = KazooClient(
            self._hosts,
            timeout=session_timeout,
            connection_retry=_RECONNECT,
            auth_data=[("digest", auth)] if auth else None,
            default_acl=CREATOR_ALL_ACL if auth else None,
        )
        self._client.add_listener(self.ring)
        with self._errors():
            self._client.start(read_timeout)

    @property
    def id(self) -> int | None:
        """The id of the session, by which ZooKeeper knows whose ephemeral nodes are whose."""
        found = self._client.client_id
        return int(found[0]) if found else None

    def call(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        """Do one request, named as a method of kazoo's client.

        `NoNodeError`, `NodeExistsError`, `NotEmptyError` and `BadVersionError` are answers.

        Raises:
            RendezvousConnectionError: no server answers, or it refuses the user.
            ValueError: the value is too long for ZooKeeper.
        """
        if args and len(args[0]) > MAX_VALUE:
            raise ValueError(f"A ZooKeeper node holds at most {MAX_VALUE} bytes, not {len(args[0])}.")
        with self._errors():
            self._await_connection()
            return getattr(self._client, f"{method}_async")(path, *args, **kwargs).get(timeout=self._timeout)

    def read(self, method: str, path: str, **kwargs: Any) -> Any:
        """Do one reading request that sees all that was written before, through whichever server."""
        with self._errors():
            self._await_connection()
            # A session's requests are answered in their order: no extra round trip.
            self._client.sync_async("/")
            return getattr(self._client, f"{method}_async")(path, **kwargs).get(timeout=self._timeout)

    def read_all(self, paths: Sequence[str]) -> dict[str, bytes]:
        """Read the values of those of ``paths`` that exist."""
        values: dict[str, bytes] = {}
        with self._errors():
            self._await_connection()
            self._client.sync_async("/")
            for path, answer in [(path, self._client.get_async(path)) for path in paths]:
                with suppress(NoNodeError):
                    values[path] = answer.get(timeout=self._timeout)[0]
        return values

    def put(self, path: str, value: bytes, *, ephemeral: bool = False) -> Any:
        """Write a node whether it exists or not, and return its stat."""
        while True:
            with suppress(NoNodeError):
                return self.call("set", path, value)
            with suppress(NodeExistsError):
                return self.create(path, value, ephemeral=ephemeral)

    def create(self, path: str, value: bytes, *, ephemeral: bool = False) -> Any:
        """Create a node, and those above it, and return its stat."""
        return self.call("create", path, value, ephemeral=ephemeral, makepath=True, include_data=True)[1]

    def ring(self, _event: object = None) -> None:
        """Wake everybody who listens: the watch to set on what is waited for."""
        with self._bell:
            self._rings += 1
            self._bell.notify_all()

    @property
    def rings(self) -> int:
        """How often the bell has rung; read it before the look that sets the watch."""
        return self._rings

    def listen(self, rings: int, timeout: float) -> bool:
        """Block until the bell has rung more often than ``rings``; ``False`` if it has not in time."""
        with self._bell:
            return self._bell.wait_for(lambda: self._rings != rings, max(0.0, timeout))

    def close(self) -> None:
        """End the session; its ephemeral nodes go with it."""
        if not self._closed:
            self._closed = True
            self._client.stop()
            self._client.close()
            self.ring()

    def _await_connection(self) -> None:
        with self._bell:
            self._bell.wait_for(lambda: self._client.connected or self._closed, self._timeout)
        if not self._client.connected:
            raise KazooTimeoutError("the session is closed" if self._closed else "no connection")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (NoNodeError, NodeExistsError, NotEmptyError, BadVersionError):
            raise
        except (AuthFailedError, NoAuthError) as error:
            raise RendezvousConnectionError(
                f"ZooKeeper at {self._hosts} refuses access: give all nodes the same option 'auth'."
            ) from error
        except (KazooException, KazooTimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise RendezvousConnectionError(
                f"ZooKeeper at {self._hosts} cannot be used: {reason}."
            ) from error


def znode(text: str) -> str:
    """Turn any text into the name of one node: ZooKeeper refuses "", ".", ".." and slashes."""
    return f"={quote(text, safe='')}"
