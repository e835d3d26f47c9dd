"""How a handler comes to its cluster, whatever is in the way."""

import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.testing import Proxy
from rendezvous_etcd import EtcdServer
from rendezvous_etcd.server import free_port

ALL = pytest.mark.parametrize("backend", ["etcd-v3", "etcd-v2", "etcd"])


@pytest.fixture(scope="module")
def server() -> Iterator[EtcdServer]:
    server = EtcdServer()
    server.start(stderr=subprocess.DEVNULL)
    yield server
    server.stop()


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
