"""All runs on a server, or on a cluster."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from urllib.parse import quote, unquote

from redis.exceptions import InvalidResponse, ResponseError

from rendezvous_core import Runs, StoredRun
from rendezvous_redis._client import Client
from rendezvous_redis._errors import is_passing
from rendezvous_redis._keys import keys_of, tag_of
from rendezvous_redis._link import Address, Link
from rendezvous_redis._locate import primaries
from rendezvous_redis._options import RedisOptions
from rendezvous_redis._replies import data, each, listed, number, optional, pairs, slots, text
from rendezvous_redis._target import parse_target

_PAGE = 1000
"""So many keys the server looks at in one step."""
_LONGEST = 300.0
"""Seconds that going through all keys may take."""
_MOST = 1 << 20
"""Runs on a server."""


class RedisRuns(Runs):
    """The runs that have one key prefix on a Redis server, behind Sentinels, or on a cluster.

    The server goes through all its keys to find them. Beside what nodes need, the user needs the command
    SCAN, and DEL to remove a run.

    Raises as `RedisRun` does.
    """

    def __init__(self, endpoint: str, options: RedisOptions) -> None:
        self._target = parse_target(endpoint, options)
        self._prefix = options.key_prefix
        self._patience = min(5.0, options.read_timeout)
        self._client = self._open("runs")
        try:
            self._client.run(lambda link: None, options.connect_timeout, tells=True)
        except BaseException:
            self._client.close()
            raise

    def read(self) -> Mapping[str, StoredRun]:
        """See base class."""
        return self._client.run(self._read, self._patience)

    def delete(self, run_id: str) -> None:
        """See base class; atomic here. What single waiters were told expires by itself."""
        with closing(self._open(run_id)) as client:
            client.call(number, "DEL", *keys_of(tag_of(self._prefix, run_id)), patience=self._patience)

    def close(self) -> None:
        """See base class."""
        self._client.close()

    def _open(self, run_id: str) -> Client:
        return Client(self._target, tag_of(self._prefix, run_id), self._patience / 2)

    def _read(self, link: Link) -> dict[str, StoredRun]:
        runs: dict[str, StoredRun] = {}
        for address in _servers(link):
            if address == link.address:
                runs.update(self._read_from(link))
                continue
            with closing(Link(self._target, address, link.timeout)) as other:
                runs.update(self._read_from(other))
        return runs

    def _read_from(self, link: Link) -> Iterator[tuple[str, StoredRun]]:
        start, end = f"{{{quote(self._prefix, safe='/:')}:", "}:state"
        name = re.compile(f"{re.escape(start)}([^:}}]+){re.escape(end)}")
        cursor, found, deadline = b"0", set[str](), time.monotonic() + _LONGEST
        while True:
            (reply,) = link.exchange(("SCAN", cursor, "MATCH", f"{start}*{end}", "COUNT", _PAGE))
            cursor, page = each(data, listed(text))(reply)
            found.update(match[1] for key in page if (match := name.fullmatch(key)))
            if cursor == b"0":
                break
            if time.monotonic() > deadline or len(found) > _MOST:
                raise InvalidResponse(f"it lists keys without an end, for {_LONGEST:g} s or {_MOST} runs")
        for run_id in map(unquote, sorted(found)):
            keys = keys_of(tag_of(self._prefix, run_id))
            replies = link.exchange(("HMGET", keys.state, "data"), ("HGETALL", keys.members))
            (state,), members = each(each(optional(data)), pairs(text, data))(replies)
            if state is not None:
                yield run_id, StoredRun(state, members)


def _servers(link: Link) -> list[Address]:
    """Where the keys are, of all that ``link`` leads to."""
    try:
        ranges = listed(slots)(link.exchange(("CLUSTER", "SLOTS"))[0])
    except ResponseError as error:
        if is_passing(error):
            raise
        return [link.address]  # it is no cluster
    return primaries(ranges, link)
