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
from tests.fuzz.answers import CALLS, answers

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


@given(st.integers(0, 255), _answers)
@settings(deadline=None)
def test_in_its_own_memory_too(call: int, answer: bytes) -> None:
    """As the fuzzer calls it, so that the fuzzer cannot be mute."""
    answers(bytes([call]) + answer)


@given(st.sampled_from(sorted(CALLS)), _answers)
@example("list_keys", pack("=q", 1) + pack("=q", 2) + b"\xff\xff")
@example("compare_set", pack("=q", -5) + b"12345678")
@settings(max_examples=80, deadline=None)
def test_whatever_it_answers_only_our_errors_come_of_it(name: str, answer: bytes) -> None:
    with suppress(OSError, ProtocolError):
        answered(answer, CALLS[name][1])


@pytest.mark.parametrize("size", [-1, _client._LONGEST + 1, 2**63 - 1])
@pytest.mark.parametrize("name", ["compare_set", "list_keys"])
def test_what_is_too_long_is_not_read(name: str, size: int) -> None:
    with pytest.raises(ProtocolError, match="announced"):
        answered(pack("=q", size), CALLS[name][1], then=b"x" * 4096)


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a byte of it comes."""
    monkeypatch.setattr(_client, "_SLOWEST", 1 << 40)
    with pytest.raises(TimeoutError, match="too slowly"):
        answered(pack("=q", _client._LONGEST // 2), CALLS["compare_set"][1], then=b"x")


def test_of_many_answers_all_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small each of them is."""
    monkeypatch.setattr(_client, "_LONGEST", 1 << 16)
    value = pack("=q", 1000) + bytes(1000)
    for name, answer in (("list_keys", pack("=q", 500)), ("look", b"")):
        call = CALLS["list_keys"][1] if name == "list_keys" else lambda client: client.look(["a"] * 99, b"-")
        with pytest.raises(ProtocolError, match="announced"):
            answered(answer, call, then=value)
