"""What torch 2.13 promises of its c10d backend and handler: the same checks, run on torch's and on ours."""

import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import TCPStore

from rendezvous_core.ports.serving import free_port
from rendezvous_core.testing.suites.threads import start
from tests.c10d.servers import TcpStoreServer
from tests.c10d.yard import BOTH, Yard

PATIENCE = 60.0


@pytest.fixture(scope="module", params=BOTH)
def yard(request: pytest.FixtureRequest) -> Yard:
    found: Yard = request.param()
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[TcpStoreServer]:
    server = TcpStoreServer()
    yield server
    server.stop()


@pytest.fixture
def run_id() -> str:
    return uuid.uuid4().hex


# The backend


@pytest.fixture
def backend(yard: Yard, server: TcpStoreServer, run_id: str) -> Any:
    return yard.backend(TCPStore("127.0.0.1", server.port, is_master=False), run_id)


def test_name(backend: Any) -> None:
    assert backend.name == "c10d"


def test_no_state(backend: Any) -> None:
    assert backend.get_state() is None


def test_the_first_state(backend: Any) -> None:
    state, token, was_set = backend.set_state(b"x")
    assert (state, was_set) == (b"x", True)
    assert token is not None
    assert backend.get_state() == (b"x", token)


def test_a_state_with_its_token(backend: Any) -> None:
    _, first, _ = backend.set_state(b"x")
    state, second, was_set = backend.set_state(b"y", first)
    assert (state, was_set) == (b"y", True)
    assert second != first
    assert backend.get_state() == (b"y", second)


def test_a_state_with_an_old_token(backend: Any) -> None:
    _, first, _ = backend.set_state(b"x")
    _, second, _ = backend.set_state(b"y", first)
    assert backend.set_state(b"z", first) == (b"y", second, False)


@pytest.mark.parametrize("token", [None, "foreign", b"foreign"])
def test_a_state_with_no_token_or_a_foreign_one(backend: Any, token: Any) -> None:
    _, first, _ = backend.set_state(b"x")
    assert backend.set_state(b"y", token) == (b"x", first, False)
    assert backend.get_state() == (b"x", first)


def test_runs_are_apart(yard: Yard, backend: Any, server: TcpStoreServer) -> None:
    backend.set_state(b"x")
    other = yard.backend(TCPStore("127.0.0.1", server.port, is_master=False), "another")
    assert other.get_state() is None


def test_a_run_needs_an_id(yard: Yard, server: TcpStoreServer) -> None:
    with pytest.raises(ValueError, match="The run id must be a non-empty string"):
        yard.backend(TCPStore("127.0.0.1", server.port, is_master=False), "")


def test_a_lost_server(yard: Yard) -> None:
    server = TcpStoreServer()
    backend = yard.backend(TCPStore("127.0.0.1", server.port, is_master=False), "run")
    backend.set_state(b"x")
    server.stop()
    for call in (backend.get_state, lambda: backend.set_state(b"y")):
        with pytest.raises(yard.api.RendezvousConnectionError):
            call()


# Creating it


@pytest.fixture
def create(yard: Yard) -> Iterator[Callable[..., Any]]:
    """Create a backend and its store; closes what can be closed, which torch leaves to the end."""
    with ExitStack() as stack:

        def create(endpoint: str, **options: Any) -> Any:
            backend, store = yard.create_backend(yard.params(endpoint, **options))
            if hasattr(backend, "close"):
                stack.callback(backend.close)
            return backend, store

        yield create


@pytest.mark.parametrize("is_host", [None, "true", True])
def test_create_a_host(create: Callable[..., Any], is_host: Any) -> None:
    port = free_port("")
    backend, store = create(f"localhost:{port}", is_host=is_host, store_type=" TCP ")
    assert backend.name == "c10d"
    assert store.timeout == timedelta(seconds=60)
    backend.set_state(b"x")
    # A second node of the machine connects.
    other, _ = create(f"127.0.0.1:{port}", is_host="false", read_timeout="10")
    assert other.get_state()[0] == b"x"


def test_create_with_a_read_timeout(create: Callable[..., Any]) -> None:
    _, store = create(f"localhost:{free_port('')}", read_timeout="10")
    assert store.timeout == timedelta(seconds=10)


def test_create_with_a_file(create: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "store"
    backend, store = create(str(path), store_type="file")
    backend.set_state(b"x")
    store.set("key", "value")
    assert store.get("key") == b"value"
    assert path.exists()


def test_create_with_a_file_of_its_own(create: Callable[..., Any]) -> None:
    backend, _ = create("", store_type="FILE")
    assert backend.get_state() is None


@pytest.mark.parametrize("is_host", [False, True])
def test_create_where_it_cannot_be(yard: Yard, create: Callable[..., Any], is_host: bool) -> None:
    """Nobody hosts it, or the port is taken by something else."""
    with socket.socket() as bound:
        bound.bind(("", 0))
        if is_host:
            bound.listen()
        endpoint = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(yard.api.RendezvousConnectionError):
            create(endpoint, is_host=is_host, read_timeout="2")


@pytest.mark.parametrize(
    "options",
    [
        {"store_type": "dummy"},
        {"read_timeout": "0"},
        {"read_timeout": "-10"},
        {"read_timeout": "soon"},
        {"is_host": "dummy"},
    ],
)
def test_create_with_a_bad_option(create: Callable[..., Any], options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        create("localhost:0", **options)


@pytest.mark.parametrize("endpoint", ["local host", "localhost:x", "localhost:70000", "localhost:-1"])
def test_create_with_a_bad_endpoint(create: Callable[..., Any], endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        create(endpoint, read_timeout="1")


# The handler


@pytest.fixture
def open_handler(yard: Yard, server: TcpStoreServer, run_id: str) -> Iterator[Callable[..., Any]]:
    with ExitStack() as stack:

        def open_handler(least: int = 1, most: int = 2, **options: Any) -> Any:
            backend = yard.backend(TCPStore("127.0.0.1", server.port, is_master=False), run_id)
            store = getattr(backend, "store", None) or TCPStore("127.0.0.1", server.port, is_master=False)
            options = {"last_call_timeout": "1", "join_timeout": "60", **options}
            params = yard.params(server.endpoint, run_id, least, most, local_addr="127.0.0.1", **options)
            handler = yard.create_handler(store, backend, params)
            stack.callback(handler.shutdown)
            return handler

        yield open_handler


def test_a_fresh_handler(open_handler: Callable[..., Any], run_id: str) -> None:
    handler = open_handler()
    assert handler.get_backend() == "c10d"
    assert handler.get_run_id() == run_id
    assert handler.is_closed() is False
    assert handler.num_nodes_waiting() == 0
    assert isinstance(handler.use_agent_store, bool)


def test_the_settings(open_handler: Callable[..., Any], run_id: str) -> None:
    given = open_handler(
        2, 3, close_timeout="7", keep_alive_interval="9", keep_alive_max_attempt="4"
    ).settings
    assert (given.run_id, given.min_nodes, given.max_nodes) == (run_id, 2, 3)
    assert (given.timeout.join, given.timeout.last_call) == (timedelta(seconds=60), timedelta(seconds=1))
    assert (given.timeout.close, given.timeout.heartbeat) == (timedelta(seconds=7), timedelta(seconds=5))
    assert (given.keep_alive_interval, given.keep_alive_max_attempt) == (timedelta(seconds=9), 4)


def test_the_defaults(yard: Yard, server: TcpStoreServer, run_id: str) -> None:
    backend = yard.backend(TCPStore("127.0.0.1", server.port, is_master=False), run_id)
    store = getattr(backend, "store", None) or TCPStore("127.0.0.1", server.port, is_master=False)
    given = yard.create_handler(store, backend, yard.params(server.endpoint, run_id)).settings
    timeout = given.timeout
    told = [timeout.join, timeout.last_call, timeout.close, timeout.heartbeat, given.keep_alive_interval]
    assert told == [timedelta(seconds=seconds) for seconds in (600, 30, 30, 5, 5)]
    assert given.keep_alive_max_attempt == 3


@pytest.mark.parametrize(
    ("least", "most", "interval", "attempts"),
    [(0, 1, 5, 3), (-1, 1, 5, 3), (2, 1, 5, 3), (1, 2, 5, "x"), (1, 2, "x", 3)],
)
def test_impossible_settings(
    open_handler: Callable[..., Any], least: int, most: int, interval: Any, attempts: Any
) -> None:
    with pytest.raises(ValueError, match=r"."):
        open_handler(least, most, keep_alive_interval=interval, keep_alive_max_attempt=attempts)


@pytest.mark.parametrize("name", ["join", "last_call", "close", "heartbeat"])
def test_impossible_timeouts(open_handler: Callable[..., Any], name: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        open_handler(**{f"{name}_timeout": "0"})


def test_a_round(open_handler: Callable[..., Any]) -> None:
    """Ranks, a store for all, an address for the workers; then a newcomer, and the end."""
    joining = [start(open_handler(2, 3).next_rendezvous) for _ in range(2)]
    infos = [each.result(PATIENCE) for each in joining]
    assert sorted(info.rank for info in infos) == [0, 1]
    assert [info.world_size for info in infos] == [2, 2]
    infos[0].store.set("key", "value")
    assert infos[1].store.get("key") == b"value"
    one, other = (info.bootstrap_store_info for info in infos)
    assert (one.master_addr, one.master_port) == (other.master_addr, other.master_port)
    assert one.master_addr == "127.0.0.1"


def test_a_newcomer_is_told_of(open_handler: Callable[..., Any]) -> None:
    handler = open_handler(1, 2)
    start(handler.next_rendezvous).result(PATIENCE)
    joining = start(open_handler(1, 2).next_rendezvous)
    deadline = time.monotonic() + PATIENCE
    while handler.num_nodes_waiting() == 0:
        assert time.monotonic() < deadline
        assert not joining.done()
        time.sleep(0.01)
    assert handler.num_nodes_waiting() == 1


def test_closed_for_all(open_handler: Callable[..., Any], yard: Yard) -> None:
    handler, other = open_handler(), open_handler()
    handler.set_closed()
    handler.set_closed()
    assert handler.is_closed()
    assert other.is_closed()
    for each in (handler, other):
        with pytest.raises(yard.api.RendezvousClosedError):
            each.next_rendezvous()


def test_shutdown_closes(open_handler: Callable[..., Any], yard: Yard) -> None:
    handler, other = open_handler(), open_handler()
    assert handler.shutdown() is True
    assert handler.shutdown() is True
    assert other.is_closed()
    with pytest.raises(yard.api.RendezvousClosedError):
        other.next_rendezvous()


def test_nobody_else_comes(open_handler: Callable[..., Any], yard: Yard) -> None:
    with pytest.raises(yard.api.RendezvousTimeoutError):
        start(open_handler(2, 2, join_timeout="1").next_rendezvous).result(PATIENCE)
