"""The contract of rendezvous, checked by its conformance kit on a real ZooKeeper."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
from rendezvous_zookeeper import Session, ZookeeperBackend, ZookeeperStore

from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.testing import (
    HandlerSuite,
    MembershipSuite,
    PluginSuite,
    Proxy,
    Server,
    StoreSuite,
)

OPTIONS = {"read_timeout": 4}
TOO_LONG = {"large_values": "a ZooKeeper node holds less than 1 MiB"}


class Zookeeper:
    """The faults that all suites may cause."""

    @pytest.fixture
    def server(self, zookeeper_server: Server) -> Server:
        return zookeeper_server

    @pytest.fixture
    def link(self, zookeeper_link: Proxy) -> Proxy:
        return zookeeper_link


def open_backend(endpoint: str, run_id: str) -> ZookeeperBackend:
    return ZookeeperBackend(Session(endpoint, read_timeout=4), run_id)


def open_store(endpoint: str, run_id: str) -> ZookeeperStore:
    backend = open_backend(endpoint, run_id)
    return ZookeeperStore(backend.session, f"{backend.path}/store")


class TestBackend(Zookeeper, MembershipSuite):
    lacks: ClassVar = {**TOO_LONG, "corrupt": "any bytes are a state"}

    @pytest.fixture
    def backend_factory(self, link: Proxy) -> Callable[[str], ZookeeperBackend]:
        return partial(open_backend, link.endpoint)


class TestStore(Zookeeper, StoreSuite):
    lacks: ClassVar = TOO_LONG

    @pytest.fixture
    def store_factory(self, link: Proxy) -> Iterator[Callable[[str], ZookeeperStore]]:
        backends: list[ZookeeperBackend] = []

        def connect(run_id: str) -> ZookeeperStore:
            backends.append(open_backend(link.endpoint, run_id))
            return ZookeeperStore(backends[-1].session, f"{backends[-1].path}/store")

        yield connect
        for backend in backends:
            backend.close()

    @pytest.fixture
    def process_factory(self, link: Proxy) -> Callable[[str], ZookeeperStore]:
        return partial(open_store, link.endpoint)


class TestHandler(Zookeeper, HandlerSuite):
    @pytest.fixture
    def handler_factory(self, link: Proxy) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            options = {**OPTIONS, **options}
            params = RendezvousParameters("zookeeper", link.endpoint, run_id, min_nodes, max_nodes, **options)
            return get_rendezvous_handler(params)

        return create


class TestPlugin(PluginSuite):
    backend = "zookeeper"
    distribution = "rendezvous-zookeeper"
    options: ClassVar = OPTIONS
    bad_options: ClassVar = {
        **PluginSuite.bad_options,
        "read_timeout": "soon",
        "session_timeout": -1,
        "root": "no/path",
        "auth": "nobody",
    }

    @pytest.fixture
    def endpoint(self, zookeeper_link: Proxy) -> str:
        return zookeeper_link.endpoint

    @pytest.fixture
    def secret_parameters(
        self, unreachable_endpoint: str, run_id: str
    ) -> Callable[[str], RendezvousParameters]:
        return lambda secret: RendezvousParameters(
            "zookeeper", unreachable_endpoint, run_id, 1, 1, auth=f"user:{secret}", read_timeout=0.5
        )
