"""The client of a TCPStore against a server that answers anything."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from struct import pack

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rendezvous_c10d import _client
from rendezvous_c10d._client import Client, ProtocolError
from rendezvous_core.ports.endpoint import Endpoint

CALLS: dict[str, Callable[[Client], object]] = {
    "check": lambda client: client.check(["a"]),
    "look": lambda client: client.look(["a", "b"], b"-"),
    "compare_set": lambda client: client.compare_set("a", b"1", b"2"),
    "add": lambda client: client.add("a", 1),
    "delete_key": lambda client: client.delete_key("a"),
    "delete_keys": lambda client: client.delete_keys(["a", "b"]),
    "num_keys": lambda client: client.num_keys(),
    "list_keys": lambda client: client.list_keys(),
    "wait": lambda client: client.wait(["a"], 0.01),
}
_numbers = st.sampled_from([-1, -(2**63), 0, 1, 2, 5, 2**31, 2**40, 2**63 - 1]).map(lambda n: pack("=q", n))
_answers = st.lists(st.one_of(_numbers, st.binary(max_size=12)), max_size=5).map(b"".join)


def answered(answer: bytes, call: Callable[[Client], object], then: bytes = b"") -> object:
    """Make one call, to which the server says ``answer``, and ``then`` again and again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                greeting = b""
                while len(greeting) < 10:
                    greeting += connection.recv(64)
                connection.sendall(greeting[6:10] + answer)
                while then:
                    connection.sendall(then)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        client = Client(Endpoint("127.0.0.1", listener.getsockname()[1]), 0.2)
        try:
            return call(client)
        finally:
            client.close()
            server.join()


@given(st.sampled_from(sorted(CALLS)), _answers)
@example("list_keys", pack("=q", 1) + pack("=q", 2) + b"\xff\xff")
@example("compare_set", pack("=q", -5) + b"12345678")
@settings(max_examples=150, deadline=None)
def test_whatever_it_answers_only_our_errors_come_of_it(name: str, answer: bytes) -> None:
    with suppress(OSError, ProtocolError):
        answered(answer, CALLS[name])


@pytest.mark.parametrize("size", [-1, _client._LONGEST + 1, 2**63 - 1])
@pytest.mark.parametrize("name", ["compare_set", "list_keys"])
def test_what_is_too_long_is_not_read(name: str, size: int) -> None:
    with pytest.raises(ProtocolError, match="announced"):
        answered(pack("=q", size), CALLS[name], then=b"x" * 4096)


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a byte of it comes."""
    monkeypatch.setattr(_client, "_SLOWEST", 1 << 40)
    with pytest.raises(TimeoutError, match="too slowly"):
        answered(pack("=q", _client._LONGEST), CALLS["compare_set"], then=b"x")
