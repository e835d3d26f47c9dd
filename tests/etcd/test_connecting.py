"""How nodes come to their cluster, and what becomes of their connections, whatever is in the way."""

import logging
import subprocess
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from pyetcd import etcdrpc as rpc

from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousHandler,
    RendezvousParameters,
    Store,
    get_rendezvous_handler,
)
from rendezvous_core.ports.endpoint import parse_endpoint
from rendezvous_core.ports.serving import free_port
from rendezvous_core.testing import Proxy
from rendezvous_core.testing.suites.threads import is_blocked, start
from rendezvous_etcd import Etcd3Client, Etcd3Store, EtcdServer, EtcdStore, create_backend
from rendezvous_etcd import server as etcd_server
from rendezvous_etcd.options import Connection
from rendezvous_etcd.v2 import pool
from rendezvous_etcd.v2.client import EtcdCalls
from rendezvous_etcd.v3.lease import Lease
from tests.etcd.servers import calls_of
from tests.etcd.waiting import PATIENCE, until

ALL = pytest.mark.parametrize("backend", ["etcd-v3", "etcd-v2", "etcd"])


def create(backend: str, endpoint: str, **options: Any) -> RendezvousHandler:
    run_id = uuid.uuid4().hex
    return get_rendezvous_handler(
        RendezvousParameters(backend, endpoint, run_id, 1, 1, "localhost", **options)
    )


@ALL
def test_a_connection_that_is_cut_once(server: EtcdServer, backend: str) -> None:
    """At whatever point of the creation."""
    with Proxy(server.get_host(), server.get_port()) as proxy:
        packets = 0
        while True:
            with proxy.lose_reply(after=packets) as lost:
                handler = create(backend, proxy.endpoint, read_timeout=2)
            assert handler.next_rendezvous().world_size == 1
            handler.shutdown()
            if not lost.is_set():
                break
            packets += 1
        assert packets


@ALL
@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_web_proxy_of_the_environment(
    server: EtcdServer, backend: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is for the web, and knows nothing of a cluster's servers."""
    monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}")
    handler = create(backend, server.get_endpoint(), read_timeout=2)
    assert handler.next_rendezvous().world_size == 1
    handler.shutdown()


def test_a_lease_that_runs_out_as_it_is_found_is_granted_anew() -> None:
    """Until all members agree that it has gone it is told of, and cannot be kept."""
    answers = {
        "LeaseTimeToLive": rpc.LeaseTimeToLiveResponse(grantedTTL=2, TTL=0),
        "LeaseKeepAlive": rpc.LeaseKeepAliveResponse(TTL=0),
        "LeaseGrant": rpc.LeaseGrantResponse(),
    }
    client = Mock(call=Mock(side_effect=lambda method, _: answers[method]))
    Lease(client, 1, 2, is_shared=True).grant()
    assert [call.args[0] for call in client.call.call_args_list] == list(answers)


def test_only_the_first_node_grants_the_lease_of_a_run(server: EtcdServer) -> None:
    """The others find it there; each grants that of its own record."""
    params = RendezvousParameters("etcd-v3", server.get_endpoint(), uuid.uuid4().hex, 1, 1)
    before = calls_of(server, "LeaseGrant")
    runs = [create_backend(params)[0] for _ in range(3)]
    assert calls_of(server, "LeaseGrant") - before == 1 + 3
    for run in runs:
        run.close()


# A cluster that is not there yet


@ALL
def test_a_server_that_comes_later(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is waited for, and the log says so."""
    server = EtcdServer()
    server.start(stderr=subprocess.DEVNULL)
    server.stop()
    with caplog.at_level(logging.WARNING, "rendezvous_etcd"):
        creating = start(create, backend, server.get_endpoint(), read_timeout=1)
        until(lambda: "Waiting up to" in caplog.text)
    assert "for etcd, as connect_timeout says: " in caplog.text
    assert "nobody listens there" in caplog.text
    server.start(stderr=subprocess.DEVNULL)
    try:
        handler = creating.result(PATIENCE)
        assert handler.next_rendezvous().world_size == 1
        handler.shutdown()
    finally:
        server.stop()


@ALL
@pytest.mark.parametrize("option", ["connect_timeout", "join_timeout"])
def test_how_long_a_server_is_waited_for(backend: str, option: str) -> None:
    """Not longer than for a round."""
    with pytest.raises(RendezvousConnectionError, match=r"within 1\.5 s: nobody listens there"):
        create(backend, f"127.0.0.1:{free_port()}", **{option: 1.5})


@ALL
def test_a_name_that_is_not_known(backend: str) -> None:
    """It may become known."""
    with pytest.raises(RendezvousConnectionError, match=r"within 1\.5 s: its name is not known here"):
        create(backend, "nobody.invalid", connect_timeout=1.5)


# Several members


@pytest.mark.parametrize("backend", ["etcd-v2", "etcd"])
def test_the_first_member_has_no_v2_api(
    server: EtcdServer, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_server, "has_v2", lambda binary: False)
    modern = EtcdServer()
    modern.start(stderr=subprocess.DEVNULL)
    try:
        handler = create(backend, f"{modern.get_endpoint()},{server.get_endpoint()}")
        assert handler.next_rendezvous().world_size == 1
        handler.shutdown()
        with pytest.raises(RendezvousConnectionError, match="has no v2 API"):
            create(backend, f"{modern.get_endpoint()},{modern.get_endpoint()}")
    finally:
        modern.stop()


@ALL
def test_the_first_member_is_away(server: EtcdServer, backend: str) -> None:
    """Who answers is asked from then on."""
    with Proxy(server.get_host(), server.get_port()) as proxy:
        proxy.stop()
        handler = create(backend, f"{proxy.endpoint},{server.get_endpoint()}")
        assert handler.next_rendezvous().world_size == 1
        proxy.start()
        handler.num_nodes_waiting()
        handler.shutdown()
        assert proxy.traffic == 0


# Connections


def open_v3(endpoint: str) -> tuple[Store, Callable[[], None]]:
    client = Etcd3Client(endpoint, read_timeout=4)
    return Etcd3Store(client, uuid.uuid4().hex), client.close


def open_v2(endpoint: str) -> tuple[Store, Callable[[], None]]:
    calls = EtcdCalls.from_connection(Connection((parse_endpoint(endpoint, 0),), read_timeout=4))
    return EtcdStore(calls, uuid.uuid4().hex), calls.close


@pytest.mark.parametrize("open_store", [open_v3, open_v2])
def test_connections_that_died_unseen(
    server: EtcdServer, open_store: Callable[[str], tuple[Store, Callable[[], None]]]
) -> None:
    """One answer is missed at most, which takes half of the time that a call has, though all are dead."""
    with Proxy(server.get_host(), server.get_port()) as proxy:
        store, close = open_store(proxy.endpoint)
        waiting = [start(store.wait, ["first"]) for _ in range(5)]
        assert is_blocked(waiting[0], 0.3)
        store.set("first", b"")
        for each in waiting:
            each.result(PATIENCE)
        for call in (
            partial(store.set, "key", b"value"),
            partial(store.add, "number", 1),
            partial(store.get, "key"),
            partial(store.delete_key, "key"),
        ):
            proxy.forget()
            call()
        late = start(store.wait, ["late"])
        assert is_blocked(late, 0.3)
        proxy.forget()
        store.set("late", b"")
        late.result(PATIENCE)
        close()


@ALL
def test_an_idle_node_has_two_connections(
    server: EtcdServer, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One to wait, and one to work; those that work has opened are closed when they idle."""
    monkeypatch.setattr(pool, "IDLE", 0.5)
    with Proxy(server.get_host(), server.get_port()) as proxy:
        handler = create(backend, proxy.endpoint, keep_alive_interval=0.2, keep_alive_max_attempt=50)
        store = handler.next_rendezvous().store
        waiting = [start(store.wait, ["key"]) for _ in range(6)]
        assert is_blocked(waiting[0], 0.3)
        if backend != "etcd-v3":
            assert len(proxy._connections) > 2
        store.set("key", b"")
        for each in waiting:
            each.result(PATIENCE)
        most = 1 if backend == "etcd-v3" else 2
        until(lambda: len(proxy._connections) <= most)
        handler.shutdown()


def test_a_member_that_is_named_twice() -> None:
    """It is one."""
    assert len(Etcd3Client("h1,h1:2379,h2").connection.endpoints) == 2
