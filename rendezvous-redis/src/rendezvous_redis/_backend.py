"""The backend: the state in one hash, the members in another, and beside each a stream to wait on."""

import re
import time
from functools import partial
from importlib.metadata import version
from secrets import token_hex
from typing import Any

from rendezvous_core import Members, MembershipBackend, RendezvousStateError, ServerFacts, Token
from rendezvous_redis._link import Command, Link
from rendezvous_redis._replies import data, each, listed, nothing, number, optional, pairs, refuse, text
from rendezvous_redis._run import RedisRun
from rendezvous_redis._scripts import PUT_MEMBER, REMOVE_MEMBER, SET_STATE

_TOKEN = re.compile(rb"([0-9]+-[0-9]+) [0-9a-f]{32}")
_MEMBERS_TOKEN = re.compile(rb"([0-9]+-[0-9]+)")
_START = b"0-0"
_SLICE = 10.0
"""Seconds after which a wait asks again, so that a server that has gone silent is noticed."""


class RedisRendezvousBackend(MembershipBackend):
    """Keeps one run on a Redis server, behind Sentinels, or on a cluster.

    The token of a state is the id of its entry in the stream of news, and the nonce of its writer.
    The nonce tells a state that a failover brought back; the id is where a wait begins to listen, so
    that it misses nothing since.

    Args:
        run: the run; closing the backend closes it.
    """

    def __init__(self, run: RedisRun) -> None:
        self._run, self._keys, self._client = run, run.keys, run.client
        self._patience = run.short_patience

    @property
    def name(self) -> str:
        """See base class."""
        return "redis"

    @property
    def hosts(self) -> list[str]:
        """See base class."""
        return self._client.hosts

    def server_facts(self) -> ServerFacts:
        """See base class. These two commands need no permission of those that the README lists."""
        hello, (whole, micros) = self._client.call_all(_FACTS, ("HELLO",), ("TIME",), patience=self._patience)
        server = f"{hello.get('server', '?')} {hello.get('version', '?')}"
        return ServerFacts(server, f"redis-py {version('redis')}", whole + micros / 1e6)

    @property
    def run(self) -> RedisRun:
        """The run that was given, to open its store."""
        return self._run

    def get_state(self) -> tuple[bytes, Token] | None:
        """See base class."""
        command = ("HMGET", self._keys.state, "token", "data")
        token, state = self._client.call(_STANDING, *command, patience=self._patience)
        return None if token is None and state is None else self._checked(token, state)

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        """See base class. A write of which only the reply was lost is recognised as done.

        That holds even where others have written since.
        """
        expected = b"" if token is None else b"=" + token if isinstance(token, bytes) else b"foreign"
        standing = self._client.call_once(
            _written,
            SET_STATE,
            (self._keys.state, self._keys.news),
            *(self._run.ttl, expected, token_hex(16), state),
            patience=self._patience,
        )
        if isinstance(standing, bytes):
            return state, standing, True
        return (*self._checked(*standing), False) if standing else None

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        """See base class."""
        keys = self._keys
        first = (keys.members, keys.bell, keys.values, keys.queues, keys.views)
        self._client.call_once(
            nothing,
            PUT_MEMBER,
            (*first, *(key for key in keys if key not in first)),
            *(self._run.ttl, node, record, int(announce), self._run.view_ttl),
            *set(self._run.views.values()),
            patience=self._patience,
            topic=node,
        )

    def remove_member(self, node: str) -> None:
        """See base class."""
        keys = [self._keys.members]
        self._client.call_once(nothing, REMOVE_MEMBER, keys, node, patience=self._patience, topic=node)

    def members(self) -> Members:
        """See base class."""
        # The bell first: what is announced in between is listed, and will ring once more.
        entries, records = self._client.call_all(
            _LISTED,
            ("XREVRANGE", self._keys.bell, "+", "-", "COUNT", 1),
            ("HGETALL", self._keys.members),
            patience=self._patience,
        )
        return Members(records, entries[0][0] if entries else _START)

    def wait_for_change(
        self, token: Token | None, timeout: float, members: Token | None = None
    ) -> bool | tuple[bytes, Token]:
        """See base class."""
        places = {self._keys.news: _START if token is None else _place(_TOKEN, token)}
        if members is not None:
            places[self._keys.bell] = _place(_MEMBERS_TOKEN, members)
        if None in places.values():
            return True  # what never was a token is not current
        deadline = time.monotonic() + timeout
        while True:
            left = min(deadline - time.monotonic(), _SLICE)
            block = ("BLOCK", max(1, round(left * 1000))) if left > 0 else ()
            listen = ("XREAD", *block, "STREAMS", *places, *places.values())
            watch = partial(self._watch, token, listen, max(0.0, left))
            if news := self._client.run(watch, self._patience + max(0.0, left)):
                return news
            if time.monotonic() >= deadline:
                return False

    def close(self) -> None:
        """See base class. Ends every wait that is under way, and closes the run's store too."""
        self._run.close()

    def _watch(
        self, token: Token | None, listen: Command, timeout: float, link: Link
    ) -> bool | tuple[bytes, Token]:
        link.send(("HGET", self._keys.state, "token"), listen)
        if link.read() != token:
            # Usually there are news as well. Else the state was lost, and nothing ends the listening.
            if link.has_reply(0.1):
                link.read()
            else:
                link.close()
            return True
        reply = link.read_late(timeout)
        return reply is not None and self._told(_NEWS(reply))

    def _told(self, news: list[Any]) -> bool | tuple[bytes, Token]:
        """What entries of the streams say: also the state and its token, if that is what is new."""
        for stream, entries in news:
            if stream == self._keys.news.encode() and entries:
                place, fields = entries[-1]
                if len(fields) == 4 and fields[::2] == [b"n", b"data"]:  # not so of former versions
                    token = place + b" " + fields[1]
                    return (fields[3], token) if _TOKEN.fullmatch(token) else True
        return True

    def _checked(self, token: bytes | None, data: bytes | None) -> tuple[bytes, Token]:
        if data is None or not _TOKEN.fullmatch(token or b""):
            raise RendezvousStateError(
                f"The key {self._keys.state!r} of the Redis server {self._client} holds no state of this "
                f"library (its token is {token!r:.80}). Delete it, or choose another run id or key_prefix."
            )
        return data, token


_STANDING = each(optional(data), optional(data))
"""The token and the state."""
_ENTRIES = listed(each(data, listed(data)))
"""Of a stream: where each stands, and its fields."""
_NEWS = listed(each(data, _ENTRIES))
"""Streams, and what is new in each."""
_LISTED = each(_ENTRIES, pairs(text, data))
"""Entries of a stream, and the records of the members."""
_FACTS = each(
    pairs(text, lambda reply: text(reply) if isinstance(reply, bytes) else ""), each(number, number)
)
"""The server's greeting, and its time in seconds and microseconds."""


def _written(reply: Any) -> bytes | list[bytes | None]:
    """The token that was written, or what stands, or nothing."""
    if isinstance(reply, bytes):
        return reply if _TOKEN.fullmatch(reply) else refuse(reply)
    return _STANDING(reply) if reply else []


def _place(form: re.Pattern[bytes], token: Any) -> bytes | None:
    """Return where in its stream ``token`` stands, if it is one."""
    found = form.fullmatch(token) if isinstance(token, bytes) else None
    return found and found[1]
