"""Everything of etcd-v3 works through etcd's own gRPC proxy: the kit, with and without users."""

import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest

from rendezvous_core import (
    MembershipBackend,
    RendezvousHandler,
    RendezvousParameters,
    Store,
    get_rendezvous_handler,
)
from rendezvous_core.testing import HandlerSuite, MembershipSuite, Proxy, StoreSuite
from rendezvous_core.testing.suites.threads import is_blocked, start
from rendezvous_etcd import Etcd3Client, Etcd3RendezvousBackend, EtcdServer, create_backend
from tests.etcd.grpc_proxy import GrpcProxy
from tests.etcd.servers import SecureServer, served
from tests.etcd.waiting import PATIENCE

OpenRun = Callable[[str], tuple[MembershipBackend, Store]]


class ThroughProxy:
    """A server, etcd's proxy, and a connection to that which can break."""

    lacks: ClassVar[Mapping[str, str]] = {"process_factory": "is tested without a proxy"}

    @pytest.fixture(scope="class")
    @classmethod
    def upstream(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
        with served(data_dir=tmp_path_factory.mktemp("etcd")) as upstream:
            yield upstream

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, upstream: EtcdServer) -> Iterator[GrpcProxy]:
        with GrpcProxy(upstream.get_endpoint()) as proxy:
            yield proxy

    @pytest.fixture
    def link(self, server: GrpcProxy) -> Iterator[Proxy]:
        with Proxy(server.host, server.port) as proxy:
            yield proxy

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"read_timeout": 3}

    @pytest.fixture
    def open_run(self, link: Proxy, options: dict[str, Any]) -> Iterator[OpenRun]:
        opened: list[MembershipBackend] = []

        def open_run(run_id: str) -> tuple[MembershipBackend, Store]:
            backend, store = create_backend(
                RendezvousParameters("etcd-v3", link.endpoint, run_id, 1, 1, **options)
            )
            opened.append(backend)
            return backend, store

        yield open_run
        for backend in opened:
            backend.close()

    @pytest.fixture
    def backend_factory(self, open_run: OpenRun) -> Callable[[str], MembershipBackend]:
        return lambda run_id: open_run(run_id)[0]

    @pytest.fixture
    def store_factory(self, open_run: OpenRun) -> Callable[[str], Store]:
        return lambda run_id: open_run(run_id)[1]

    @pytest.fixture
    def handler_factory(self, link: Proxy, options: dict[str, Any]) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **more: Any) -> RendezvousHandler:
            return get_rendezvous_handler(
                RendezvousParameters(
                    "etcd-v3", link.endpoint, run_id, min_nodes, max_nodes, **options, **more
                )
            )

        return create


class TestBackend(ThroughProxy, MembershipSuite):
    lacks: ClassVar = {**ThroughProxy.lacks, "corrupt": "is tested without a proxy"}

    def test_waiting_comes_first(self, server: GrpcProxy) -> None:
        """The proxy ends the first watch, which is a call of its own, before or after it has begun."""
        for _ in range(10):
            backend = Etcd3RendezvousBackend(Etcd3Client(server.endpoint), uuid.uuid4().hex)
            try:
                waiting = start(backend.wait_for_change, None, PATIENCE)
                assert is_blocked(waiting, self.moment)
                backend.set_state(b"state")
                assert waiting.result(PATIENCE)
            finally:
                backend.close()


class TestStore(ThroughProxy, StoreSuite):
    def test_waiting_goes_on_when_the_cluster_restarts(
        self, store: Store, other: Store, upstream: EtcdServer
    ) -> None:
        """The proxy keeps its clients' connections meanwhile."""
        reading = start(store.get, "key")
        assert is_blocked(reading, self.moment)
        upstream.stop()
        upstream.start(stderr=subprocess.DEVNULL)
        self.eventually(lambda: other.set("key", b"value"))
        assert reading.result(PATIENCE) == b"value"


class TestHandler(ThroughProxy, HandlerSuite):
    pass


class Secured(ThroughProxy):
    """Users, whose tokens the proxy passes on; it has a certificate of its own, for members and clients."""

    @pytest.fixture(scope="class")
    @classmethod
    def secure(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
        secure = SecureServer(tmp_path_factory.mktemp("etcd"))
        secure.start()
        secure.enable_auth()
        yield secure
        secure.stop()

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, secure: SecureServer) -> Iterator[GrpcProxy]:
        certificate, key = secure.certificate_of_server
        arguments = [
            f"--cacert={secure.ca_cert}",
            f"--cert={secure.ssl_cert}",
            f"--key={secure.ssl_cert_key}",
            f"--cert-file={certificate}",
            f"--key-file={key}",
            f"--trusted-ca-file={secure.ca_cert}",
        ]
        with GrpcProxy(secure.server.get_endpoint(), arguments) as proxy:
            yield proxy

    @pytest.fixture
    def options(self, secure: SecureServer) -> dict[str, Any]:
        return {"read_timeout": 3, **secure.certificates, **secure.credentials}


@pytest.mark.thorough
class TestSecuredBackend(Secured, MembershipSuite):
    lacks: ClassVar = {**ThroughProxy.lacks, "corrupt": "is tested without a proxy"}


@pytest.mark.thorough
class TestSecuredStore(Secured, StoreSuite):
    pass
