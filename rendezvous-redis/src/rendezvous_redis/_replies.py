"""What replies must be: each kind returns what it is of, or raises ``InvalidResponse``.

A server that is none, or means harm, may answer a command with anything that can be read. Here alone is it
looked at whether that answers the command.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar

from redis.exceptions import InvalidResponse

from rendezvous_core import Endpoint

T = TypeVar("T")
V = TypeVar("V")

Kind: TypeAlias = Callable[[Any], T]
"""Reads a reply."""


def data(reply: Any) -> bytes:
    """Bytes."""
    return reply if isinstance(reply, bytes) else refuse(reply)


def text(reply: Any) -> str:
    """Bytes that somebody gave as text; in others the odd ones are escaped, and it is nobody's name."""
    return data(reply).decode(errors="backslashreplace")


def number(reply: Any) -> int:
    """An integer, as such or in digits."""
    if isinstance(reply, int):
        return reply
    try:
        return int(data(reply)[:20])
    except ValueError:
        refuse(reply)


def nothing(reply: Any) -> None:
    """Whatever says that it was done."""
    if isinstance(reply, list):
        refuse(reply)


def optional(kind: Kind[T]) -> Kind[T | None]:
    """``None``, or of that kind."""
    return lambda reply: None if reply is None else kind(reply)


def listed(kind: Kind[T]) -> Kind[list[T]]:
    """A list, each of that kind."""
    return lambda reply: [kind(one) for one in _list(reply)]


def pairs(kind: Kind[T], other: Kind[V]) -> Kind[dict[T, V]]:
    """Names and values in turn."""

    def read(reply: Any) -> dict[T, V]:
        found = _list(reply)
        if len(found) % 2:
            refuse(found)
        return {kind(name): other(value) for name, value in zip(found[::2], found[1::2], strict=True)}

    return read


def each(*kinds: Kind[Any]) -> Kind[list[Any]]:
    """A list with one of each kind."""

    def read(reply: Any) -> list[Any]:
        found = _list(reply)
        if len(found) != len(kinds):
            refuse(found)
        return [kind(one) for kind, one in zip(kinds, found, strict=True)]

    return read


def place(reply: Any) -> Endpoint:
    """A host and a port."""
    host, port = each(text, _port)(reply)
    return Endpoint(host, port)


class Slots(NamedTuple):
    """Who serves some slots of a cluster, the primary first; without a host it is the one that was asked."""

    first: int
    last: int
    servers: list[Endpoint]


def first_text(reply: Any) -> str:
    """A list that begins with a word."""
    return text((_list(reply) or [None])[0])


def slots(reply: Any) -> Slots:
    """A part of what a cluster says of its slots."""
    found = _list(reply)
    first, last = each(number, number)(found[:2])
    return Slots(first, last, [_server(server) for server in found[2:]])


def refuse(reply: Any) -> NoReturn:
    """Say that ``reply`` answers nothing that was asked."""
    raise InvalidResponse(f"it answers as no Redis server does ({type(reply).__name__})")


def _server(reply: Any) -> Endpoint:
    """A name that is to be told but unknown is ``?``, and has an IP beside."""
    found = _list(reply)
    host, port = each(optional(text), _port)(found[:2])
    if host == "?" and len(found) > 3:
        host = pairs(text, text)(found[3]).get("ip", host)
    return Endpoint(host or "", port)


def _port(reply: Any) -> int:
    found = number(reply)
    return found if 0 <= found < 1 << 16 else refuse(reply)


def _list(reply: Any) -> list[Any]:
    return reply if isinstance(reply, list) else refuse(reply)
