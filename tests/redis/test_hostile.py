"""Redis' clients against a server that answers anything."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis.exceptions import InvalidResponse, TimeoutError

from rendezvous_core import RendezvousError
from rendezvous_core.dynamic.ledgers import Ledgers
from rendezvous_core.dynamic.performing import Performer
from rendezvous_core.protocol.operations import Fetch, List, Read, Remove
from rendezvous_redis import RedisOptions, RedisRendezvousBackend, RedisRun, RedisStore, _reader
from rendezvous_redis._link import Link
from rendezvous_redis._target import Target
from tests.fuzz.replies import CALLS, PLACES, answered
from tests.support.hostile import hostile

_lines = st.sampled_from(
    [
        *(b"+OK", b"+", b":1", b":x", b"$-1", b"$3\r\nabc", b"$x", b"$-9"),
        *(b"*0", b"*-1", b"*1", b"*2", b"*x", b"_", b"%1", b"\xff\xfe"),
        *(b"-ERR no", b"-NOSCRIPT", b"-MOVED 1 127.0.0.1:1", b"-MOVED", b"-LOADING"),
    ]
).map(lambda line: line + b"\r\n")
_reply = st.one_of(st.lists(_lines, max_size=6).map(b"".join), st.binary())


@given(st.lists(_reply, max_size=5))
@example([b"*1\r\n" * 5000])
@example([b":x\r\n"])
@example([b"$99999999999999999999\r\n"])
@settings(max_examples=60, deadline=None)
def test_whatever_it_answers_only_our_errors_come_of_it(pieces: list[bytes]) -> None:
    with hostile(pieces) as endpoint, suppress(RendezvousError):
        options = RedisOptions(connect_timeout=0.05, read_timeout=0.05)
        run = RedisRun(str(endpoint), "run", options)
        performer = Performer(RedisRendezvousBackend(run), Ledgers(RedisStore(run), "run"), 1.0)
        for operation in (Read(), List(), Remove("node"), Fetch("ledger", [0])):
            with suppress(RendezvousError):
                performer.perform(operation)
        performer.close()


_leaf = st.sampled_from(
    [
        *(
            b"+OK",
            b":1",
            b":-1",
            b"$-1",
            b"$0\r\n",
            b"$1\r\n1",
            b"$2\r\n\xff=",
            b"$1\r\n=",
            b"$1\r\n!",
            b"$1\r\n?",
        ),
        *(b"*-1", b"*0", b"-ERR no", b"-MOVED 1 :1", b"-MOVED x", b"-NOSCRIPT", b"-ASK 1 host:1"),
    ]
).map(lambda line: line + b"\r\n")
_kinds = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3).map(lambda several: listed(*several)), max_leaves=8
)


def listed(*replies: bytes) -> bytes:
    return b"*%d\r\n" % len(replies) + b"".join(replies)


@given(st.lists(_kinds, min_size=1, max_size=3).map(b"".join))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.parametrize("name", [*CALLS, *PLACES, "runs"])
def test_a_reply_of_another_kind_is_none(name: str, said: bytes) -> None:
    """Neither does it go on to the caller, nor does any error but ours come of it."""
    answered(name, said)


@pytest.mark.parametrize("name", [*CALLS, *PLACES, "runs"])
@pytest.mark.parametrize(
    "reply", [listed(b":1\r\n"), listed(listed(), listed()), b":7\r\n", b"$1\r\n\xff\r\n"]
)
def test_each_kind_to_each_call(name: str, reply: bytes) -> None:
    answered(name, 3 * reply)


@pytest.mark.parametrize(
    ("limit", "value", "error", "piece"),
    [
        ("_LONGEST", 1 << 20, InvalidResponse, b"$999999999\r\n" + b"x" * 4096),
        ("_LONGEST", 1 << 20, InvalidResponse, b"*1000000\r\n" + b":1\r\n" * 1_000_000),
        ("_LONGEST_LINE", 1 << 16, InvalidResponse, b"+" * 4096),
        ("_MOST", 1 << 10, InvalidResponse, b"*2000\r\n" + b"*0\r\n" * 2000),
        ("_DEEPEST", 8, InvalidResponse, b"*1\r\n" * 1000),
        ("_SLOWEST", 1 << 60, TimeoutError, b"$999999999\r\n" + b"x" * 4096),
    ],
)
def test_a_reply_that_never_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, error: type[Exception], piece: bytes
) -> None:
    monkeypatch.setattr(_reader, limit, value)
    with hostile([piece], endless=True) as endpoint:
        link = Link(Target("redis", (endpoint,)), endpoint, 0.3)
        try:
            with pytest.raises(error, match=r"too slowly|more than|a value of|depth"):
                link.exchange(("GET", "key"))
        finally:
            link.close()
