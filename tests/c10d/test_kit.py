"""The backend over torch's stores, and the stores, pass the kit."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from torch.distributed import FileStore, HashStore, TCPStore

from rendezvous_c10d import C10dRendezvousBackend, as_torch_store
from rendezvous_c10d._c10d_store import C10dStore
from rendezvous_core import (
    PrefixStore,
    RendezvousHandler,
    RendezvousParameters,
    Store,
    get_rendezvous_handler,
)
from rendezvous_core.dynamic.creation import create_handler
from rendezvous_core.testing import (
    HandlerSuite,
    MembershipSuite,
    MemoryServer,
    MemoryStore,
    PluginSuite,
    Proxy,
    StoreSuite,
)
from tests.c10d.servers import TcpStoreServer

IN_PROCESS = {
    "server": "it is an object of this process",
    "process_factory": "it is an object of this process",
    "link": "there is no connection",
}


@pytest.fixture(scope="session")
def tcp_server() -> Iterator[TcpStoreServer]:
    server = TcpStoreServer()
    yield server
    server.stop()


def connect(host: str, port: int) -> TCPStore:
    return TCPStore(host, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=20))


def open_backend(client: Callable[[], Any], run_id: str) -> C10dRendezvousBackend:
    return C10dRendezvousBackend(client(), run_id)


def open_store(client: Callable[[], Any], run_id: str) -> Store:
    return PrefixStore(quote(run_id, safe=""), C10dStore(client()))


def open_round_store(client: Callable[[], Any], run_id: str) -> Store:
    return C10dStore(client()).view(quote(run_id, safe=""))


class OverTcp:
    """Clients that reach the server through a link; it keeps everything in memory."""

    lacks: ClassVar[Mapping[str, str]] = {"durability": "a TCPStore keeps nothing on disk"}

    @pytest.fixture
    def server(self, tcp_server: TcpStoreServer) -> Iterator[TcpStoreServer]:
        yield tcp_server
        tcp_server.start()

    @pytest.fixture
    def link(self, tcp_server: TcpStoreServer) -> Iterator[Proxy]:
        with Proxy("127.0.0.1", tcp_server.port) as proxy:
            yield proxy

    @pytest.fixture
    def client(self, link: Proxy) -> Callable[[], TCPStore]:
        return partial(connect, link.host, link.port)


class OverFile:
    lacks: ClassVar[Mapping[str, str]] = {
        "server": "there is no server: it is a file",
        "link": "there is no connection that could break",
    }

    @pytest.fixture
    def client(self, tmp_path: Path) -> Callable[[], FileStore]:
        return partial(FileStore, str(tmp_path / "store"))


class TestTcpBackend(OverTcp, MembershipSuite):
    @pytest.fixture
    def backend_factory(self, client: Callable[[], Any]) -> Callable[[str], C10dRendezvousBackend]:
        return partial(open_backend, client)

    @pytest.fixture
    def corrupt(self, client: Callable[[], Any]) -> Callable[[str], object]:
        return lambda run_id: C10dStore(client()).set(f"rendezvous-run/{run_id}/state", b"garbage")


class TestFileBackend(OverFile, MembershipSuite):
    lacks: ClassVar = {**OverFile.lacks, "corrupt": "is tested over tcp"}

    @pytest.fixture
    def backend_factory(self, client: Callable[[], Any]) -> Callable[[str], C10dRendezvousBackend]:
        return partial(open_backend, client)


class TestTcpStore(OverTcp, StoreSuite):
    @pytest.fixture
    def store_factory(self, client: Callable[[], Any]) -> Callable[[str], Store]:
        return partial(open_store, client)


class TestFileStore(OverFile, StoreSuite):
    # Histories of several processes have no order: appends and deletions of one are lost on another.
    lacks: ClassVar = {**OverFile.lacks, "process_factory": "serves one process, or keys that stay"}

    @pytest.fixture
    def store_factory(self, client: Callable[[], Any]) -> Callable[[str], Store]:
        return partial(open_store, client)


class TestHashStore(StoreSuite):
    lacks: ClassVar = IN_PROCESS

    @pytest.fixture
    def store_factory(self) -> Callable[[str], Store]:
        store = HashStore()
        return lambda run_id: PrefixStore(quote(run_id, safe=""), C10dStore(store))


class TestRoundStore(OverTcp, StoreSuite):
    """What a round hands out is torch's store and ours at once."""

    @pytest.fixture
    def store_factory(self, client: Callable[[], Any]) -> Callable[[str], Store]:
        return partial(open_round_store, client)


class TestAsTorchStore(StoreSuite):
    """So is any of our stores as torch sees it."""

    lacks: ClassVar = IN_PROCESS

    @pytest.fixture
    def store_factory(self) -> Callable[[str], Any]:
        server = MemoryServer()
        return lambda run_id: as_torch_store(MemoryStore(server, run_id))


class TestTcpHandler(OverTcp, HandlerSuite):
    lacks: ClassVar = {}

    @pytest.fixture
    def handler_factory(self, link: Proxy, client: Callable[[], Any]) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            params = RendezvousParameters("c10d", link.endpoint, run_id, min_nodes, max_nodes, **options)
            backend = C10dRendezvousBackend(client(), run_id)
            return create_handler(backend.store, backend, params)

        return create


class TestFileHandler(OverFile, HandlerSuite):
    lacks: ClassVar = {"server": "there is no server: it is a file"}

    @pytest.fixture
    def handler_factory(self, tmp_path: Path) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            path, options = str(tmp_path / "store"), {"store_type": "file", **options}
            return get_rendezvous_handler(
                RendezvousParameters("c10d", path, run_id, min_nodes, max_nodes, **options)
            )

        return create


class TestPlugin(PluginSuite):
    backend = "c10d"
    distribution = "rendezvous-c10d"
    clients: ClassVar = {"torch", "numpy", "asyncio"}
    options: ClassVar = {"is_host": False, "read_timeout": 2}
    bad_options: ClassVar = {
        **PluginSuite.bad_options,
        "store_type": "tape",
        "read_timeout": 0,
        "is_host": "perhaps",
    }
    lacks: ClassVar = {"secret_parameters": "a TCPStore knows no password"}

    @pytest.fixture
    def endpoint(self, tcp_server: TcpStoreServer) -> str:
        return tcp_server.endpoint

    @pytest.fixture
    def unreachable_endpoint(self) -> str:
        return "127.0.0.1:9"
