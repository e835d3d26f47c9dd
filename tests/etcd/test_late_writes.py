"""What was held up somewhere, while its caller tried again, has no effect when it arrives."""

import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from rendezvous_etcd import Etcd3Client, Etcd3RendezvousBackend, Etcd3Store, EtcdServer


class Recorder(Etcd3Client):
    """Keeps what it has sent."""

    sent: list[Any]

    def call(self, name: str, request: Any) -> Any:
        if name == "Txn":
            self.sent.append(request)
        return super().call(name, request)


@pytest.fixture
def client() -> Iterator[Recorder]:
    server = EtcdServer()
    server.start(stderr=subprocess.DEVNULL)
    client = Recorder(server.get_endpoint())
    client.sent = []
    yield client
    client.close()
    server.stop()


def test_a_late_write_to_a_store(client: Recorder) -> None:
    store = Etcd3Store(client, "/store")
    store.set("key", b"old")
    store.add("number", 1)
    late = list(client.sent)
    store.set("key", b"new")
    store.delete_key("number")
    for request in late:
        assert not client.call("Txn", request).succeeded
    assert store.get("key") == b"new"
    assert not store.check(["number"])


def test_a_late_record(client: Recorder) -> None:
    backend = Etcd3RendezvousBackend(client, uuid.uuid4().hex)
    backend.put_member("node", b"0", announce=True)
    backend.put_member("node", b"old", announce=True)
    late = client.sent[-1]
    backend.put_member("node", b"new", announce=True)
    assert not client.call("Txn", late).succeeded
    assert dict(backend.members().records) == {"node": b"new"}


def test_a_store_keeps_its_connection_without_the_backend(client: Recorder) -> None:
    store = Etcd3Store.of_run(Etcd3RendezvousBackend(client, uuid.uuid4().hex))
    store.set("key", b"value")
    assert store.get("key") == b"value"
