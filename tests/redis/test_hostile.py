"""Redis' clients against a server that answers anything."""

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis.exceptions import InvalidResponse, TimeoutError

from rendezvous_core import RendezvousError
from rendezvous_core.dynamic.performing import Performer
from rendezvous_core.protocol.operations import List, Read, Remove
from rendezvous_redis import RedisOptions, RedisRendezvousBackend, RedisRun, _link
from rendezvous_redis._link import Link
from rendezvous_redis._target import Target
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
        performer = Performer(RedisRendezvousBackend(run), 1.0)
        for operation in (Read(), List(), Remove("node")):
            with suppress(RendezvousError):
                performer.perform(operation)
        performer.close()


@pytest.mark.parametrize(
    ("limit", "value", "error"), [("_LONGEST", 1 << 20, InvalidResponse), ("_SLOWEST", 1 << 60, TimeoutError)]
)
def test_a_reply_that_never_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, error: type[Exception]
) -> None:
    monkeypatch.setattr(_link, limit, value)
    with hostile([b"$999999999\r\n" + b"x" * 4096], endless=True) as endpoint:
        link = Link(Target("redis", (endpoint,)), endpoint, 0.3)
        try:
            with pytest.raises(error, match=r"too slowly|more than"):
                link.exchange(("GET", "key"))
        finally:
            link.close()
