"""The v2 backend and store pass the kit on a single server."""

from collections.abc import Callable
from functools import partial

import etcd
import pytest

from rendezvous_core.ports.endpoint import parse_endpoint
from rendezvous_core.testing import MembershipSuite, Proxy, StoreSuite
from rendezvous_etcd import EtcdRendezvousBackend, EtcdServer, EtcdStore
from rendezvous_etcd.options import Connection
from rendezvous_etcd.v2.client import EtcdCalls
from tests.etcd.servers import OnServer


def calls(endpoint: str) -> EtcdCalls:
    return EtcdCalls.from_connection(Connection((parse_endpoint(endpoint, 0),), read_timeout=3))


def open_backend(endpoint: str, run_id: str) -> EtcdRendezvousBackend:
    return EtcdRendezvousBackend(calls(endpoint), run_id)


def open_backend_of_client(host: str, port: int, run_id: str) -> EtcdRendezvousBackend:
    client = etcd.Client(host, port, read_timeout=3, allow_reconnect=True)
    return EtcdRendezvousBackend(client, run_id, "/torch/elastic/rendezvous", 60)


def open_store(endpoint: str, run_id: str) -> EtcdStore:
    return EtcdStore.of_run(open_backend(endpoint, run_id))


class TestBackend(OnServer, MembershipSuite):
    @pytest.fixture
    def backend_factory(self, link: Proxy) -> Callable[[str], EtcdRendezvousBackend]:
        return partial(open_backend, link.endpoint)

    @pytest.fixture
    def corrupt(self, server: EtcdServer) -> Callable[[str], object]:
        client = server.get_client()
        return lambda run_id: client.write(f"/rendezvous/{run_id}/signals/state", "garbage")


class TestBackendOfClient(OnServer, MembershipSuite):
    """The client may be anybody's."""

    @pytest.fixture
    def backend_factory(self, link: Proxy) -> Callable[[str], EtcdRendezvousBackend]:
        return partial(open_backend_of_client, link.host, link.port)

    @pytest.fixture
    def corrupt(self, server: EtcdServer) -> Callable[[str], object]:
        client = server.get_client()
        return lambda run_id: client.write(f"/torch/elastic/rendezvous/{run_id}/signals/state", "1.~")


class TestStore(OnServer, StoreSuite):
    @pytest.fixture
    def store_factory(self, link: Proxy) -> Callable[[str], EtcdStore]:
        return partial(open_store, link.endpoint)
