"""Servers for tests: one, or a cluster of three."""

import subprocess
from collections.abc import Iterator

import pytest

from rendezvous_core.testing import Proxy
from rendezvous_etcd import EtcdServer


class OnServer:
    """For suites: clients reach one server, which the tests of a class share, through a proxy."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
        server = EtcdServer(tmp_path_factory.mktemp("etcd"))
        server.start(stderr=subprocess.DEVNULL)
        yield server
        server.stop()

    @pytest.fixture
    def link(self, server: EtcdServer) -> Iterator[Proxy]:
        with Proxy(server.get_host(), server.get_port()) as proxy:
            yield proxy
