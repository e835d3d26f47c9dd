"""What an intruder does to a run in etcd is what docs/security.md says."""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode
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


class RawEtcdV2(Raw):
    """Speaks with the v2 API, in which a value is text."""

    def __init__(self, endpoint: str) -> None:
        self._url = f"http://{endpoint}/v2/keys"

    def read(self) -> dict[str, bytes]:
        """Names and values as this library encodes them, decoded."""
        return dict(self._leaves(self._ask("GET", f"{_PREFIX}?recursive=true")["node"]))

    def write(self, name: str, value: bytes) -> None:
        folder, _, key = name.partition("\0")
        self._ask("PUT", f"{folder}/{_text(key).replace('/', '_')}", _text(value))

    def state(self) -> bytes:
        return self.read()[f"{_PREFIX}signals/state"]

    def put_state(self, state: bytes) -> None:
        self._ask("PUT", f"{_PREFIX}signals/state", f"{os.urandom(8).hex()}.{_text(state)}")

    def put_member(self, node: str, record: bytes) -> None:
        self._ask("PUT", f"{_PREFIX}members/m{node}", _text(record))
        self._ask("PUT", f"{_PREFIX}signals/bell", os.urandom(4).hex())

    def _leaves(self, node: Any) -> Iterator[tuple[str, bytes]]:
        for each in node.get("nodes", ()):
            yield from self._leaves(each)
        if "value" in node:
            folder, slash, name = node["key"].rpartition("/")
            name = slash + name
            if folder.endswith("/kv"):
                name = "\0" + b64decode(name[1:].replace("_", "/")).decode()
            # Before the state its token stands, and behind values what is none of this alphabet.
            value = node["value"].partition(".")[2] if folder.endswith("/signals") else node["value"]
            yield f"{folder}{name}", b64decode(value)

    def _ask(self, method: str, path: str, value: str | None = None) -> Any:
        data = None if value is None else urlencode({"value": value}).encode()
        with urlopen(Request(self._url + path, data, method=method), timeout=30) as answer:
            return json.load(answer)


def _text(value: str | bytes) -> str:
    return b64encode(value.encode() if isinstance(value, str) else value).decode()


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("backend", "raw"), [("etcd-v3", RawEtcd), ("etcd-v2", RawEtcdV2)])
def test_etcd(backend: str, raw: Callable[[str], Raw], world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENDEZVOUS_SECRET", raising=False)
    with served() as server:
        endpoint = server.get_endpoint()
        done = intrude(lambda: raw(endpoint), backend, endpoint, **WORLDS[world])
    assert done == documented()[world]
