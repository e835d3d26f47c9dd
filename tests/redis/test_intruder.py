"""What an intruder does to a run on Redis is what docs/security.md says."""

import os
from typing import Any

import pytest
from redis import Redis

from rendezvous_redis import RedisServer
from tests.support.intruder import RUN, WORLDS, Raw, documented, intrude


class RawRedis(Raw):
    def __init__(self, server: RedisServer) -> None:
        host, _, port = server.endpoint.rpartition(":")
        self._client: Any = Redis(host, int(port))

    def read(self) -> dict[str, bytes]:
        kept = {}
        for key in map(bytes.decode, self._client.keys()):
            if self._client.type(key) == b"hash":
                for field, value in self._client.hgetall(key).items():
                    kept[f"{key}\0{field.decode()}"] = value
        return kept

    def write(self, name: str, value: bytes) -> None:
        self._client.hset(*name.split("\0"), value)

    def state(self) -> bytes:
        return bytes(self._client.hget(self._key("state"), "data"))

    def put_state(self, state: bytes) -> None:
        entry = self._client.xadd(self._key("news"), {"n": "0"}, maxlen=1).decode()
        token = f"{entry} {os.urandom(16).hex()}"
        self._client.hset(self._key("state"), mapping={"token": token, "data": state})

    def put_member(self, node: str, record: bytes) -> None:
        self._client.hset(self._key("members"), node, record)
        self._client.xadd(self._key("bell"), {"n": "0"}, maxlen=1)

    def _key(self, name: str) -> str:
        return f"{{rendezvous:{RUN}}}:{name}"


@pytest.mark.parametrize("world", WORLDS)
def test_redis(own_server: RedisServer, world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENDEZVOUS_SECRET", raising=False)
    done = intrude(lambda: RawRedis(own_server), "redis", own_server.endpoint, **WORLDS[world])
    assert done == documented()[world]
