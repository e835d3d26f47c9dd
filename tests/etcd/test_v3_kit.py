"""The v3 backend and store pass the kit on a single server."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from pyetcd import etcdrpc as rpc

from rendezvous_core.testing import MembershipSuite, Proxy, StoreSuite
from rendezvous_core.testing.suites.threads import is_blocked, start
from rendezvous_etcd import Etcd3Client, Etcd3RendezvousBackend, Etcd3Store, EtcdServer
from tests.etcd.servers import OnServer
from tests.etcd.waiting import PATIENCE


def connect(endpoint: str, run_id: str) -> Etcd3RendezvousBackend:
    return Etcd3RendezvousBackend(Etcd3Client(endpoint, read_timeout=3), run_id)


_opened: list[Etcd3RendezvousBackend] = []


def open_store(endpoint: str, run_id: str) -> Etcd3Store:
    """For a process of its own, which has the backend live as long as itself."""
    _opened.append(connect(endpoint, run_id))
    return Etcd3Store.of_run(_opened[-1])


def open_store_alone(endpoint: str, run_id: str) -> Etcd3Store:
    return Etcd3Store(Etcd3Client(endpoint, read_timeout=3), f"/stores/{run_id}:")


class TestBackend(OnServer, MembershipSuite):
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

    def test_a_watch_lasts(self, server: EtcdServer) -> None:
        """etcd goes on with a call whose client has said all, so that no stream is needed."""
        backend = connect(server.get_endpoint(), uuid.uuid4().hex)
        try:
            waiting = start(backend.wait_for_change, None, PATIENCE)
            assert is_blocked(waiting, self.moment)
            backend.set_state(b"state")
            assert waiting.result(PATIENCE)
            assert backend.watcher.lasts
        finally:
            backend.close()


class TestStore(OnServer, StoreSuite):
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

    @pytest.fixture
    def process_factory(self, link: Proxy) -> Callable[[str], Etcd3Store]:
        return partial(open_store, link.endpoint)


class TestStoreAlone(OnServer, StoreSuite):
    @pytest.fixture
    def store_factory(self, link: Proxy) -> Iterator[Callable[[str], Etcd3Store]]:
        clients = []

        def open_store(run_id: str) -> Etcd3Store:
            clients.append(Etcd3Client(link.endpoint, read_timeout=3))
            return Etcd3Store(clients[-1], f"/stores/{run_id}:")

        yield open_store
        for client in clients:
            client.close()

    @pytest.fixture
    def process_factory(self, link: Proxy) -> Callable[[str], Etcd3Store]:
        return partial(open_store_alone, link.endpoint)
