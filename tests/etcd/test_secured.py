"""Both APIs pass the kit with TLS, certificates of clients, and passwords."""

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
from rendezvous_core.testing.suites.threads import start
from rendezvous_etcd import create_backend
from tests.etcd.servers import SecureServer

OpenRun = Callable[[str], tuple[MembershipBackend, Store]]


class Secured:
    lacks: ClassVar[Mapping[str, str]] = {"process_factory": "is tested without TLS"}
    backend_name = "etcd-v3"
    read_timeout = 2

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
        server = SecureServer(tmp_path_factory.mktemp("etcd"))
        server.start()
        server.enable_auth() if cls.backend_name == "etcd-v3" else server.enable_v2_auth()
        yield server
        server.stop()

    @pytest.fixture
    def link(self, server: SecureServer) -> Iterator[Proxy]:
        with Proxy(server.server.get_host(), server.server.get_port()) as proxy:
            yield proxy

    @pytest.fixture
    def options(self, server: SecureServer) -> dict[str, Any]:
        return {"read_timeout": self.read_timeout, **server.certificates, **server.credentials}

    @pytest.fixture
    def open_run(self, link: Proxy, options: dict[str, Any]) -> Iterator[OpenRun]:
        opened: list[tuple[MembershipBackend, Store]] = []

        def open_run(run_id: str) -> tuple[MembershipBackend, Store]:
            params = RendezvousParameters(self.backend_name, link.endpoint, run_id, 1, 1, **options)
            opened.append(create_backend(params))
            return opened[-1]

        yield open_run
        for backend, _ in opened:
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
                    self.backend_name, link.endpoint, run_id, min_nodes, max_nodes, **options, **more
                )
            )

        return create


class TestBackendV3(Secured, MembershipSuite):
    lacks: ClassVar = {**Secured.lacks, "corrupt": "is tested without TLS"}


@pytest.mark.thorough
class TestStoreV3(Secured, StoreSuite):
    pass


class TestHandlerV3(Secured, HandlerSuite):
    pass


class V2(Secured):
    """The certificate says who the client is."""

    backend_name = "etcd-v2"

    @pytest.fixture
    def options(self, server: SecureServer) -> dict[str, Any]:
        return {"read_timeout": self.read_timeout, **server.certificates_of_member}


@pytest.mark.thorough
class TestBackendV2(V2, MembershipSuite):
    lacks: ClassVar = {**Secured.lacks, "corrupt": "is tested without TLS"}


@pytest.mark.thorough
class TestStoreV2(V2, StoreSuite):
    pass


class TestHandlerV2(V2, HandlerSuite):
    pass


class V2WithPassword(Secured):
    """This API hashes the password at each request, for a tenth of a second, whatever --bcrypt-cost says."""

    backend_name = "etcd-v2"
    read_timeout = 30
    racers = 3
    patience = 120.0


class TestV2WithPassword(V2WithPassword):
    def test_the_password_opens_all_of_a_run(self, open_run: OpenRun) -> None:
        """Signals, members, waits and the store; the suites below say it of every promise."""
        (backend, store), (other, other_store) = open_run("run"), open_run("run")
        waiting = start(other.wait_for_change, None, self.patience)
        assert backend.set_state(b"state")
        assert waiting.result(self.patience) is True
        assert (other.get_state() or [None])[0] == b"state"
        backend.put_member("one", b"1", announce=True)
        assert dict(other.members().records) == {"one": b"1"}
        store.set("key", b"value")
        assert other_store.get("key") == b"value"


ELSEWHERE = {**Secured.lacks, "server": "is tested without passwords", "link": "is tested without passwords"}


@pytest.mark.thorough
class TestBackendV2WithPassword(V2WithPassword, MembershipSuite):
    lacks: ClassVar = {**ELSEWHERE, "corrupt": "is tested without TLS"}


@pytest.mark.thorough
class TestStoreV2WithPassword(V2WithPassword, StoreSuite):
    lacks: ClassVar = ELSEWHERE
