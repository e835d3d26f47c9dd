"""Writes over the v3 API whose reply was lost, or which come late, while their caller tried again."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyetcd import etcdrpc as rpc

from rendezvous_core import RendezvousConnectionError
from rendezvous_core.testing.suites.checks import found, refused, written
from rendezvous_etcd import Etcd3Client, Etcd3RendezvousBackend, Etcd3Store, EtcdServer
from tests.etcd.servers import etcdctl, pause, resume


class LossyClient(Etcd3Client):
    """Keeps what it has sent, and lets others act before the second attempt of the next write."""

    sent: list[Any]
    losing: Callable[[], object] | None = None
    """Set: the first attempt is carried out, its reply is lost."""
    holding: Callable[[], object] | None = None
    """Set: the first attempt does not arrive."""

    def transact(self, request: Any) -> tuple[Any, bool]:
        self.sent.append(request)
        losing, holding, self.losing, self.holding = self.losing, self.holding, None, None
        if losing:
            super().transact(request)
        for meanwhile in (losing, holding):
            if meanwhile:
                meanwhile()
        return super().transact(request)[0], bool(losing or holding)


@pytest.fixture
def client(server: EtcdServer) -> Iterator[LossyClient]:
    client = LossyClient(server.get_endpoint(), read_timeout=2)
    client.sent = []
    yield client
    client.close()


@pytest.fixture
def backend(client: LossyClient) -> Etcd3RendezvousBackend:
    return Etcd3RendezvousBackend(client, uuid.uuid4().hex)


@pytest.fixture
def second(server: EtcdServer, backend: Etcd3RendezvousBackend) -> Iterator[Etcd3RendezvousBackend]:
    run_id = backend.path.decode().rstrip("/").rpartition("/")[2]
    second = Etcd3RendezvousBackend(Etcd3Client(server.get_endpoint()), run_id)
    yield second
    second.close()


def test_a_late_write_to_a_store(client: LossyClient) -> None:
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


def test_a_late_record(client: LossyClient, backend: Etcd3RendezvousBackend) -> None:
    backend.put_member("node", b"0", announce=True)
    backend.put_member("node", b"old", announce=True)
    late = client.sent[-1]
    backend.put_member("node", b"new", announce=True)
    assert not client.call("Txn", late).succeeded
    assert dict(backend.members().records) == {"node": b"new"}


def test_a_late_removal(client: LossyClient, backend: Etcd3RendezvousBackend) -> None:
    backend.put_member("node", b"0", announce=True)
    backend.remove_member("node")
    late = client.sent[-1]
    backend.put_member("node", b"1", announce=True)
    assert not client.call("Txn", late).succeeded
    assert dict(backend.members().records) == {"node": b"1"}


@pytest.mark.parametrize("fate", ["losing", "holding"])
def test_add_counts_once(server: EtcdServer, client: LossyClient, fate: str) -> None:
    prefix = uuid.uuid4().hex
    store, other = Etcd3Store(client, prefix), Etcd3Store(Etcd3Client(server.get_endpoint()), prefix)
    assert store.add("number", 5) == 5
    setattr(client, fate, lambda: [other.add("number", 100) for _ in range(3)])
    store.add("number", 1)
    assert other.get("number") == b"306"


def test_a_state_that_others_have_replaced(
    client: LossyClient, backend: Etcd3RendezvousBackend, second: Etcd3RendezvousBackend
) -> None:
    """Who wrote is told so, though it is not what stands any more; who did not is told that."""

    def replace() -> None:
        for number in range(3):
            written(second.set_state(b"theirs %d" % number, found(second)[1]))

    _, token = written(backend.set_state(b"first"))
    client.losing = replace
    _, mine = written(backend.set_state(b"second", token))
    assert backend.wait_for_change(mine, 0)
    assert refused(backend.set_state(b"third", mine))[0] == b"theirs 2"
    client.holding = replace
    assert refused(backend.set_state(b"second", found(backend)[1]))[0] == b"theirs 2"


@pytest.mark.parametrize("forget", [True, False])
def test_a_state_of_which_it_cannot_be_told(
    server: EtcdServer,
    client: LossyClient,
    backend: Etcd3RendezvousBackend,
    second: Etcd3RendezvousBackend,
    forget: bool,
) -> None:
    """What was replaced is compacted away; or there was no state, and the attempt may still come."""

    def replace() -> None:
        _, token = written(second.set_state(b"theirs", (second.get_state() or (None, None))[1]))
        written(second.set_state(b"newest", token))
        if forget:
            revision = second.client.call("Range", rpc.RangeRequest(key=b"x")).header.revision
            etcdctl(server, "compact", str(revision))

    token = written(backend.set_state(b"first"))[1] if forget else None
    client.holding = replace
    with pytest.raises(RendezvousConnectionError, match="is unknown"):
        backend.set_state(b"second", token)


def test_a_server_that_does_not_answer(server: EtcdServer, client: LossyClient) -> None:
    """The error of a write says what it leaves open; where nothing was sent it does not."""
    store = Etcd3Store(client, uuid.uuid4().hex)
    store.set("key", b"value")
    pause(server)
    try:
        with pytest.raises(RendezvousConnectionError, match="whether a write was carried out"):
            store.set("key", b"other")
    finally:
        resume(server)
    server.stop()
    try:
        unconnected = Etcd3Store(Etcd3Client(server.get_endpoint(), read_timeout=1), "store")
        with pytest.raises(RendezvousConnectionError, match="cannot be reached") as caught:
            unconnected.set("key", b"other")
        assert "unknown" not in str(caught.value)
    finally:
        server.start(stderr=subprocess.DEVNULL)


class Observer(Etcd3Client):
    """Keeps the transactions that it makes."""

    def _repeat(self, name: str, request: Any, writes: bool) -> tuple[Any, bool]:
        if name == "Txn":
            self.__dict__.setdefault("transactions", []).append(request)
        return super()._repeat(name, request, writes)


def test_no_transaction_only_reads(server: EtcdServer) -> None:
    """Up to etcd 3.5.6 one that does ends the server, if its client goes away meanwhile."""
    client = Observer(server.get_endpoint())
    backend = Etcd3RendezvousBackend(client, uuid.uuid4().hex)
    store = Etcd3Store.of_run(backend)
    backend.connect()
    _, token = written(backend.set_state(b"first"))
    backend.put_member("node", b"record", announce=True)
    assert dict(backend.members().records) == {"node": b"record"}
    assert not backend.wait_for_change(token, 0, backend.members().token)
    names = [f"key{number}" for number in range(250)]
    store.multi_set(names, names)
    assert store.multi_get([*names, "key0"]) == [*map(str.encode, names), b"key0"]
    assert store.check(names)
    assert not store.check([*names, "other"])
    store.wait(names)
    assert store.peek_all(["key1", "other"]) == [b"key1", None]
    store.add("number", 1)
    store.compare_set("other", "", "value")
    store.delete_key("other")
    store.forget("key")
    backend.remove_member("node")
    for each in client.__dict__["transactions"]:
        assert any(not op.HasField("request_range") for op in (*each.success, *each.failure))
    backend.close()


def test_a_store_keeps_its_connection_without_the_backend(client: LossyClient) -> None:
    store = Etcd3Store.of_run(Etcd3RendezvousBackend(client, uuid.uuid4().hex))
    store.set("key", b"value")
    assert store.get("key") == b"value"


def test_a_watch_of_what_the_cluster_has_lost_is_ended(backend: Etcd3RendezvousBackend) -> None:
    """It survives behind a proxy, where it would tell of nothing that is new."""
    _, token = written(backend.set_state(b"state"))
    assert not backend.wait_for_change(token, 0.1)
    watch = backend._watch
    assert watch is not None
    watch.revision += 1_000_000
    assert found(backend)[0] == b"state"
    assert watch.has_ended
    _, newer = written(backend.set_state(b"next", token))
    assert backend.wait_for_change(token, 60)
    assert not backend.wait_for_change(newer, 0.1)
