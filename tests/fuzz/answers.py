"""The door through which the bytes of a TCPStore's server come in."""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest import mock

from rendezvous_c10d import _client as module
from rendezvous_c10d._client import Client, ProtocolError
from rendezvous_core.ports.endpoint import Endpoint
from tests.fuzz.scripted import Scripted

CALLS: dict[str, tuple[type, Callable[[Client], Any]]] = {
    "check": (bool, lambda client: client.check(["a"])),
    "look": (list, lambda client: client.look(["a", "b"], b"-")),
    "compare_set": (bytes, lambda client: client.compare_set("a", b"1", b"2")),
    "add": (int, lambda client: client.add("a", 1)),
    "delete_key": (bool, lambda client: client.delete_key("a")),
    "delete_keys": (type(None), lambda client: client.delete_keys(["a", "b"])),
    "num_keys": (int, lambda client: client.num_keys()),
    "list_keys": (list, lambda client: client.list_keys()),
    "wait": (bool, lambda client: client.wait(["a"], 0.01)),
}
"""What each returns, if it returns."""
_NONCE = bytes(4)


def answers(data: bytes) -> None:
    """One call."""
    kind, call = CALLS[sorted(CALLS)[data[0] % len(CALLS)] if data else "check"]
    with (
        mock.patch.object(socket, "create_connection", return_value=Scripted(_NONCE + data[1:])),
        mock.patch.object(module, "token_bytes", bytes),
        suppress(OSError, ProtocolError),
    ):
        client = Client(Endpoint("host", 1), 0.01)
        try:
            result = call(client)
            assert isinstance(result, kind), f"it returns {result!a:.80}"
        finally:
            client.close()
