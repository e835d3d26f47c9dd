"""The v3 API passes the kit on a cluster of three members, each behind a connection that can break."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.testing import HandlerSuite, MembershipSuite, StoreSuite
from rendezvous_etcd import Etcd3Client, Etcd3RendezvousBackend, Etcd3Store
from tests.etcd.servers import Cluster, Links


def open_backend(endpoint: str, run_id: str) -> Etcd3RendezvousBackend:
    return Etcd3RendezvousBackend(Etcd3Client(endpoint, read_timeout=3), run_id)


_opened: list[Etcd3RendezvousBackend] = []


def open_store(endpoint: str, run_id: str) -> Etcd3Store:
    """For a process of its own, which has the backend live as long as itself."""
    _opened.append(open_backend(endpoint, run_id))
    return Etcd3Store.of_run(_opened[-1])


class OnCluster:
    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
        cluster = Cluster(tmp_path_factory.mktemp("cluster"))
        cluster.start()
        yield cluster
        cluster.stop()

    @pytest.fixture
    def link(self, server: Cluster) -> Iterator[Links]:
        links = Links(server.members)
        yield links
        links.close()

    @pytest.fixture
    def backend_factory(self, link: Links) -> Callable[[str], Etcd3RendezvousBackend]:
        return partial(open_backend, link.endpoint)


class TestBackend(OnCluster, MembershipSuite):
    lacks: ClassVar = {"corrupt": "is tested on a single server"}


@pytest.mark.thorough
class TestStore(OnCluster, StoreSuite):
    @pytest.fixture
    def store_factory(
        self, backend_factory: Callable[[str], Etcd3RendezvousBackend]
    ) -> Iterator[Callable[[str], Etcd3Store]]:
        opened: list[Etcd3RendezvousBackend] = []

        def open_store(run_id: str) -> Etcd3Store:
            opened.append(backend_factory(run_id))
            return Etcd3Store.of_run(opened[-1])

        yield open_store
        for backend in opened:
            backend.close()

    @pytest.fixture
    def process_factory(self, link: Links) -> Callable[[str], Etcd3Store]:
        return partial(open_store, link.endpoint)


class TestHandler(OnCluster, HandlerSuite):
    patience = 40.0

    @pytest.fixture
    def handler_factory(self, link: Links) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            return get_rendezvous_handler(
                RendezvousParameters("etcd-v3", link.endpoint, run_id, min_nodes, max_nodes, **options)
            )

        return create
