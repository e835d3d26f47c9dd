"""What goes wrong with a server, and what becomes of a run then."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pyetcd import etcdrpc as rpc

from rendezvous_core import (
    MembershipBackend,
    RendezvousConnectionError,
    RendezvousHandler,
    RendezvousParameters,
    Store,
    get_rendezvous_handler,
)
from rendezvous_core.testing import Proxy
from rendezvous_core.testing.suites.checks import found, written
from rendezvous_core.testing.suites.handler import assert_round
from rendezvous_core.testing.suites.threads import is_blocked, start, together
from rendezvous_etcd import Etcd3RendezvousBackend, EtcdServer, create_backend
from tests.etcd.process import NodeProcess
from tests.etcd.servers import SecureServer, etcdctl, pause, resume, served
from tests.etcd.waiting import PATIENCE, until
from tests.support.slow import SlowProxy

APIS = pytest.mark.parametrize("backend", ["etcd-v3", "etcd-v2"])
Create = Callable[..., RendezvousHandler]


@pytest.fixture
def run_id() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def server() -> Iterator[EtcdServer]:
    """One that loses its data when it is stopped."""
    with served() as server:
        yield server


@contextmanager
def run_of(
    backend: str, endpoint: str, run_id: str, **options: Any
) -> Iterator[tuple[MembershipBackend, Store]]:
    params = RendezvousParameters(backend, endpoint, run_id, 1, 1, **{"read_timeout": 2, **options})
    opened, store = create_backend(params)
    try:
        yield opened, store
    finally:
        opened.close()


@pytest.fixture
def create(run_id: str) -> Iterator[Create]:
    handlers: list[RendezvousHandler] = []

    def create(
        backend: str, endpoint: str, min_nodes: int, max_nodes: int, **options: Any
    ) -> RendezvousHandler:
        options = {"keep_alive_interval": 0.5, "keep_alive_max_attempt": 10, "read_timeout": 2, **options}
        options = {"close_timeout": 2, **options}
        handlers.append(
            get_rendezvous_handler(
                RendezvousParameters(
                    backend,
                    endpoint,
                    run_id,
                    min_nodes,
                    max_nodes,
                    "localhost",
                    join_timeout=PATIENCE,
                    **options,
                )
            )
        )
        return handlers[-1]

    yield create
    together([handler.shutdown for handler in handlers], PATIENCE)


def is_called(node: RendezvousHandler) -> bool:
    return node.num_nodes_waiting() > 0


def meet(*nodes: RendezvousHandler) -> None:
    assert_round(together([node.next_rendezvous for node in nodes], PATIENCE))


# The server


@APIS
def test_a_restart_without_the_data(backend: str, server: EtcdServer, create: Create) -> None:
    """The nodes write back what they have seen, and later ones come in."""
    nodes = [create(backend, server.get_endpoint(), 2, 3, last_call_timeout=0.5) for _ in range(2)]
    meet(*nodes)
    server.stop()
    server.start(stderr=subprocess.DEVNULL)
    newcomer = start(create(backend, server.get_endpoint(), 2, 3, last_call_timeout=0.5).next_rendezvous)
    for node in nodes:
        until(partial(is_called, node))
    assert_round([*together([node.next_rendezvous for node in nodes], PATIENCE), newcomer.result(PATIENCE)])


@APIS
def test_a_token_of_lost_data_is_not_current_again(backend: str, server: EtcdServer, run_id: str) -> None:
    """An emptied server issues the same revisions again."""
    with run_of(backend, server.get_endpoint(), run_id) as (run, _):
        _, token = written(run.set_state(b"before"))
        server.stop()
        server.start(stderr=subprocess.DEVNULL)
        assert run.set_state(b"late", token) is None
        for number in range(20):
            state = run.get_state()
            written(run.set_state(b"%d" % number, state and state[1]))
            late = run.set_state(b"late", token)
            assert late is not None
            assert not late[2]
        assert run.wait_for_change(token, PATIENCE)


def test_a_full_disk(run_id: str) -> None:
    """There is a quota for the data of the v3 API only."""
    with (
        served(f"--quota-backend-bytes={1 << 20}") as server,
        run_of("etcd-v3", server.get_endpoint(), run_id) as (run, store),
    ):
        _, token = written(run.set_state(b"first"))
        error = start(_fill, store).exception(PATIENCE)
        assert isinstance(error, RendezvousConnectionError)
        assert "space quota" in str(error)
        assert "etcdctl alarm disarm" in str(error)
        with pytest.raises(RendezvousConnectionError, match="space quota"):
            run.set_state(b"second", token)
        assert found(run)[0] == b"first", "what stands can be read"
        assert isinstance(run, Etcd3RendezvousBackend)
        _make_room(run, server)
        run.put_member("node", b"record", announce=True)
        written(run.set_state(b"second", token))


def _fill(store: Store) -> None:
    for number in range(5000):  # etcd looks at its size ten times in a second
        store.set(f"{number}", b"x" * 10_000)


def _make_room(run: Etcd3RendezvousBackend, server: EtcdServer) -> None:
    """Do what the error says."""
    run.client.call("DeleteRange", rpc.DeleteRangeRequest(key=run.path + b"kv/", range_end=run.path + b"kv0"))
    compact(run, server)
    etcdctl(server, "defrag")
    etcdctl(server, "alarm", "disarm")


def compact(run: Etcd3RendezvousBackend, server: EtcdServer) -> None:
    """Forget all former revisions."""
    revision = run.client.call("Range", rpc.RangeRequest(key=b"x")).header.revision
    etcdctl(server, "compact", "--physical", str(revision))


def test_compaction_while_waiting(server: EtcdServer, run_id: str) -> None:
    """Nothing depends on former revisions: neither waits that are under way, nor those that begin late."""
    with (
        run_of("etcd-v3", server.get_endpoint(), run_id) as (run, store),
        run_of("etcd-v3", server.get_endpoint(), run_id) as (other, other_store),
    ):
        assert isinstance(other, Etcd3RendezvousBackend)
        _, token = written(run.set_state(b"first"))
        listing = run.members()
        waiting = start(run.wait_for_change, token, PATIENCE, listing.token)
        reading = start(store.get, "key")
        assert is_blocked(waiting, 0.2)
        for number in range(20):
            other_store.set("another", b"%d" % number)
        compact(other, server)
        assert is_blocked(waiting, 0.2)
        assert is_blocked(reading, 0.2)
        other.put_member("node", b"record", announce=True)
        assert waiting.result(PATIENCE)
        other_store.set("key", b"value")
        assert reading.result(PATIENCE) == b"value"
        compact(other, server)
        assert run.wait_for_change(token, PATIENCE, listing.token), "the announcement, from before compaction"
        written(other.set_state(b"second", found(other)[1]))
        compact(other, server)
        assert run.wait_for_change(token, PATIENCE)


@APIS
def test_a_run_that_nobody_cares_for_expires(backend: str, server: EtcdServer, run_id: str) -> None:
    """Heartbeats keep state and store alive; without any they go."""
    lifetimes = {"ttl": 3, "member_ttl": 2, "keep_alive_interval": 0.1}
    endpoint = server.get_endpoint()
    with run_of(backend, endpoint, run_id, **lifetimes) as (run, store):
        written(run.set_state(b"state"))
        store.set("key", b"value")
        for number in range(50):
            run.put_member("alive", b"%d" % number, announce=False)
            is_blocked(start(run.wait_for_change, found(run)[1], 0.1), 1)
        assert found(run)[0] == b"state"
        assert store.get("key") == b"value"
        assert "alive" in run.members().records
        until(lambda: not run.members().records)
        until(lambda: run.get_state() is None)
        until(lambda: not store.check(["key"]))
        run.put_member("alive", b"again", announce=True)
        store.set("key", b"again")
        written(run.set_state(b"again"))


# Nodes


def wait_for_members(backend: str, server: EtcdServer, run_id: str, number: int) -> None:
    with run_of(backend, server.get_endpoint(), run_id) as (run, _):
        until(lambda: len(run.members().records) == number)


@APIS
def test_a_node_that_was_paused_for_long_comes_back(
    backend: str, server: EtcdServer, create: Create, run_id: str
) -> None:
    """Its record has expired, and it counts as dead; it learns so, and joins the next round."""
    options: dict[str, Any] = {
        "keep_alive_interval": 0.25,
        "keep_alive_max_attempt": 4,
        "last_call_timeout": 1,
    }
    options = {**options, "member_ttl": 3, "read_timeout": 2}
    with NodeProcess(backend, server.get_endpoint(), run_id, (2, 3), **options) as node:
        nodes = [create(backend, server.get_endpoint(), 2, 3, **options) for _ in range(2)]
        wait_for_members(backend, server, run_id, 1)
        meet_with = start(together, [each.next_rendezvous for each in nodes], PATIENCE)
        node.expect(3)
        assert {info.world_size for info in meet_with.result(PATIENCE)} == {3}
        node.pause()
        for each in nodes:
            until(partial(is_called, each))
        meet(*nodes)
        wait_for_members(backend, server, run_id, 2)
        node.resume()
        for each in nodes:
            until(partial(is_called, each))
        infos = together([each.next_rendezvous for each in nodes], PATIENCE)
        assert {info.world_size for info in infos} == {3}
        assert node.expect(3) not in {info.rank for info in infos}


@APIS
def test_a_node_that_is_killed_is_missed(
    backend: str, server: EtcdServer, create: Create, run_id: str
) -> None:
    options = {
        "keep_alive_interval": 0.25,
        "keep_alive_max_attempt": 4,
        "last_call_timeout": 1,
        "read_timeout": 2,
    }
    nodes = [create(backend, server.get_endpoint(), 2, 3, **options) for _ in range(2)]
    with NodeProcess(backend, server.get_endpoint(), run_id, (2, 3), **options) as node:
        wait_for_members(backend, server, run_id, 1)
        joining = start(together, [each.next_rendezvous for each in nodes], PATIENCE)
        node.expect(3)
        joining.result(PATIENCE)
        node.kill()
        for each in nodes:
            until(partial(is_called, each))
        meet(*nodes)


# The way there


@APIS
def test_a_server_that_stands_still(backend: str, server: EtcdServer, create: Create) -> None:
    """Calls fail in their time; the nodes of a round go on as soon as the server does."""
    nodes = [create(backend, server.get_endpoint(), 2, 2, read_timeout=1) for _ in range(2)]
    infos = together([node.next_rendezvous for node in nodes], PATIENCE)
    pause(server)
    try:
        with pytest.raises(RendezvousConnectionError, match=r"127\.0\.0\.1"):
            infos[0].store.check(["key"])
    finally:
        resume(server)
    meet(*nodes)


@APIS
def test_connections_that_are_cut_again_and_again(backend: str, server: EtcdServer, create: Create) -> None:
    with Proxy(server.get_host(), server.get_port()) as proxy:
        nodes = [create(backend, proxy.endpoint, 4, 4, read_timeout=10) for _ in range(4)]
        for _ in range(5):
            asking = [start(node.next_rendezvous) for node in nodes]
            proxy.cut()
            while wait(asking, 0.05).not_done:
                proxy.cut()
            assert_round([each.result(PATIENCE) for each in asking])
        together([node.shutdown for node in nodes], PATIENCE)


@APIS
def test_packets_that_come_late(backend: str, server: EtcdServer, create: Create) -> None:
    """A tenth of a second each way; more than a wait between two looks would forgive."""
    with SlowProxy(server.get_host(), server.get_port(), 0.1) as proxy:
        nodes = [create(backend, proxy.endpoint, 3, 3) for _ in range(3)]
        meet(*nodes)
        together([node.shutdown for node in nodes], PATIENCE)


# Who asks


def test_tokens_are_renewed(tmp_path: Path, run_id: str) -> None:
    """They live for two seconds here, and do not survive a restart: neither ends a round or a wait."""
    secure = SecureServer(tmp_path)
    secure.start()
    try:
        secure.enable_auth()
        options = {**secure.certificates, **secure.credentials, "read_timeout": 20}
        with run_of("etcd-v3", secure.server.get_endpoint(), run_id, **options) as (run, store):
            reading = start(store.get, "key")
            _, token = written(run.set_state(b"first"))
            assert not run.wait_for_change(token, 3)
            assert found(run) == (b"first", token)
            secure.stop()
            secure.start()
            store.set("key", b"value")
            assert reading.result(PATIENCE) == b"value"
            assert run.get_state() == (b"first", token)
    finally:
        secure.stop()
