"""The v3 backend and store pass the kit."""

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from pyetcd import etcdrpc as rpc

from rendezvous_core.testing import MembershipSuite, Proxy, StoreSuite
from rendezvous_etcd import Etcd3Client, Etcd3RendezvousBackend, Etcd3Store, EtcdServer


class OnEtcd:
    @pytest.fixture(scope="class")
    def server(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
        server = EtcdServer(tmp_path_factory.mktemp("etcd"))
        server.start(stderr=subprocess.DEVNULL)
        yield server
        server.stop()

    @pytest.fixture
    def link(self, server: EtcdServer) -> Iterator[Proxy]:
        with Proxy(server.get_host(), server.get_port()) as proxy:
            yield proxy


def connect(endpoint: str, run_id: str) -> Etcd3RendezvousBackend:
    return Etcd3RendezvousBackend(Etcd3Client(endpoint, read_timeout=1.5), run_id)


class TestBackend(OnEtcd, MembershipSuite):
    @pytest.fixture
    def backend_factory(self, link: Proxy) -> Callable[[str], Etcd3RendezvousBackend]:
        return partial(connect, link.endpoint)

    @pytest.fixture
    def corrupt(self, server: EtcdServer) -> Callable[[str], object]:
        def corrupt(run_id: str) -> None:
            backend = connect(server.get_endpoint(), run_id)
            backend.client.call("DeleteRange", rpc.DeleteRangeRequest(key=backend.path + b"token"))
            backend.close()

        return corrupt


class TestStore(OnEtcd, StoreSuite):
    @pytest.fixture
    def store_factory(self, link: Proxy) -> Iterator[Callable[[str], Etcd3Store]]:
        opened = []

        def open_store(run_id: str) -> Etcd3Store:
            backend = connect(link.endpoint, run_id)
            opened.append(backend)
            return Etcd3Store.of_run(backend)

        yield open_store
        for backend in opened:
            backend.close()
