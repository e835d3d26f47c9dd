"""What an intruder does to a run in etcd is what docs/security.md says."""

import json
import os
from base64 import b64decode, b64encode
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.etcd.servers import served
from tests.support.intruder import RUN, WORLDS, Raw, documented, intrude

_PREFIX = f"/rendezvous/{RUN}/"


class RawEtcd(Raw):
    """Speaks with the JSON gateway."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def read(self) -> dict[str, bytes]:
        found = self._post("range", {"key": _text(_PREFIX), "range_end": _text(f"{_PREFIX}\x7f")})
        return {b64decode(each["key"]).decode(): b64decode(each.get("value", "")) for each in found["kvs"]}

    def write(self, name: str, value: bytes) -> None:
        self._post("put", {"key": _text(name), "value": _text(value)})

    def state(self) -> bytes:
        return self.read()[f"{_PREFIX}state"]

    def put_state(self, state: bytes) -> None:
        self._put(token=os.urandom(8), state=state)

    def put_member(self, node: str, record: bytes) -> None:
        self._put(**{f"who/{node}": os.urandom(8) + record, "wake": os.urandom(8)})

    def _put(self, **values: bytes) -> None:
        """Write several keys of the run at once."""
        puts = [
            {"requestPut": {"key": _text(_PREFIX + name), "value": _text(values[name])}} for name in values
        ]
        self._post("txn", {"success": puts})

    def _post(self, method: str, fields: object) -> Any:
        request = Request(f"http://{self._endpoint}/v3/kv/{method}", json.dumps(fields).encode())
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)


def _text(value: str | bytes) -> str:
    return b64encode(value.encode() if isinstance(value, str) else value).decode()


@pytest.mark.parametrize("world", WORLDS)
def test_etcd(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENDEZVOUS_SECRET", raising=False)
    with served() as server:
        endpoint = server.get_endpoint()
        done = intrude(lambda: RawEtcd(endpoint), "etcd-v3", endpoint, **WORLDS[world])
    assert done == documented()[world]
