"""The reference passes the tests of faults, too, once it lies behind connections that can break."""

from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from rendezvous_core.testing import MembershipSuite, Proxy, StoreSuite
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
        return lambda run_id: RemoteBackend(link.port, run_id)


class TestStore(Remote, StoreSuite):
    @pytest.fixture
    def store_factory(self, link: Proxy) -> Callable[[str], RemoteStore]:
        return lambda run_id: RemoteStore(link.port, run_id)
