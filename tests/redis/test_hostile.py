"""Redis' clients against a server that answers anything."""

from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rendezvous_core import RendezvousError
from rendezvous_redis import RedisOptions, RedisRendezvousBackend, RedisRun, RedisStore
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
        try:
            for call in (
                RedisRendezvousBackend(run).get_state,
                RedisRendezvousBackend(run).members,
                lambda: RedisStore(run).add("key", 1),
                lambda: RedisStore(run).list_keys(),
            ):
                with suppress(RendezvousError):
                    call()
        finally:
            run.close()
