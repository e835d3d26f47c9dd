"""What an intruder does to a run in a TCPStore is what docs/security.md says."""

import os

import pytest
from torch.distributed import TCPStore

from tests.c10d.servers import TcpStoreServer
from tests.support.intruder import RUN, WORLDS, Raw, documented, intrude

_PREFIX = f"rendezvous-run/{RUN}"


class RawTcpStore(Raw):
    def __init__(self, port: int) -> None:
        self._store = TCPStore("127.0.0.1", port, is_master=False)

    def read(self) -> dict[str, bytes]:
        return {key: self._store.get(key) for key in self._store.list_keys() if "/changed/" not in key}

    def write(self, name: str, value: bytes) -> None:
        self._store.set(name, value)

    def state(self) -> bytes:
        return bytes(self._store.get(f"{_PREFIX}/state")).partition(b"\n")[2]

    def put_state(self, state: bytes) -> None:
        self.write(f"{_PREFIX}/state", f"rdzv1 {os.urandom(8).hex()}\n".encode() + state)
        self.write(f"{_PREFIX}/bell", b"1")

    def put_member(self, node: str, record: bytes) -> None:
        self.write(f"{_PREFIX}/member/{node}", os.urandom(8) + record)
        self._store.append(f"{_PREFIX}/index", f"+{node}\n")
        self.write(f"{_PREFIX}/bell", b"1")


@pytest.mark.parametrize("world", WORLDS)
def test_tcp_store(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENDEZVOUS_SECRET", raising=False)
    server = TcpStoreServer()
    try:
        options = {"is_host": "false", **WORLDS[world]}
        done = intrude(lambda: RawTcpStore(server.port), "c10d", server.endpoint, **options)
    finally:
        server.stop()
    assert done == documented()[world]
