"""The reference passes the tests of faults, too, once it lies behind connections that can break."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters
from rendezvous_core.dynamic.creation import create_handler
from rendezvous_core.testing import HandlerSuite, MembershipSuite, Proxy, StoreSuite
from tests.core.kit.remote import RemoteBackend, RemoteServer, RemoteStore


class Remote:
    @pytest.fixture
    def server(self) -> Iterator[RemoteServer]:
        server = RemoteServer()
        yield server
        server.stop()

    @pytest.fixture
    def link(self, server: RemoteServer) -> Iterator[Proxy]:
        with Proxy("127.0.0.1", server.port) as proxy:
            yield proxy


class TestBackend(Remote, MembershipSuite):
    lacks: ClassVar = {"corrupt": "any bytes are a state"}

    @pytest.fixture
    def backend_factory(self, link: Proxy) -> Callable[[str], RemoteBackend]:
        return partial(RemoteBackend, link.port)


class TestStore(Remote, StoreSuite):
    @pytest.fixture
    def store_factory(self, link: Proxy) -> Callable[[str], RemoteStore]:
        return partial(RemoteStore, link.port)


class TestHandler(Remote, HandlerSuite):
    @pytest.fixture
    def handler_factory(self, link: Proxy) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            params = RendezvousParameters("remote", "", run_id, min_nodes, max_nodes, **options)
            return create_handler(RemoteStore(link.port, run_id), RemoteBackend(link.port, run_id), params)

        return create
