"""Who hosts the TCPStore, who waits for it, and what is said where it cannot be."""

import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import pytest
from torch.distributed import TCPStore

from rendezvous_c10d import C10dRendezvousBackend, create_backend
from rendezvous_c10d._hosting import address_for
from rendezvous_core import RendezvousConnectionError, RendezvousParameters, RendezvousStateError
from rendezvous_core.ports.addresses import address_towards
from rendezvous_core.ports.serving import free_port
from rendezvous_core.testing.suites.threads import is_blocked, start, together
from tests.c10d.servers import listening

PATIENCE = 60.0

Open = Callable[..., C10dRendezvousBackend]


@pytest.fixture
def port() -> int:
    return free_port("")


@pytest.fixture
def open_backend(port: int) -> Iterator[Open]:
    """Create a backend; all are closed at the end, the host last."""
    with ExitStack() as stack:

        def open_backend(host: str = "localhost", run_id: str = "run", **options: Any) -> Any:
            params = RendezvousParameters("c10d", f"{host}:{port}", run_id, 1, 2, **options)
            backend = create_backend(params)[0]
            stack.enter_context(closing(backend))
            return backend

        yield open_backend


class Stranger(StreamRequestHandler):
    """Something that listens, says what it says, and waits for what its clients say."""

    greeting = b""

    def handle(self) -> None:
        self.wfile.write(self.greeting)
        self.rfile.read()


class Talker(Stranger):
    greeting = b"SSH-2.0-OpenSSH_9.9\r\n"


@contextmanager
def occupied(port: int, handler: type[BaseRequestHandler]) -> Iterator[None]:
    with ThreadingTCPServer(("", port), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


# Who hosts


def test_the_machine_of_the_endpoint_hosts(
    open_backend: Open, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Other nodes connect; the decision is logged, with its reason."""
    caplog.set_level(logging.INFO, "rendezvous_c10d")
    first = open_backend("127.0.0.1")
    assert caplog.messages == [
        f"This node hosts the TCPStore at 127.0.0.1:{port}: 127.0.0.1, an address of this machine."
    ]
    caplog.clear()
    second = open_backend("127.0.0.1", is_host=False)
    assert caplog.messages == [f"This node does not host the TCPStore at 127.0.0.1:{port}: is_host=false."]
    first.set_state(b"state")
    found = second.get_state()
    assert found
    assert found[0] == b"state"


def test_nodes_of_one_machine_share_the_store(open_backend: Open) -> None:
    """All of them would host it, and one does."""
    opened = together([partial(open_backend, "localhost") for _ in range(4)], PATIENCE)
    opened[0].set_state(b"state")
    assert [found[0] for each in opened if (found := each.get_state())] == [b"state"] * len(opened)


def test_who_comes_before_the_host_waits_for_it(open_backend: Open) -> None:
    early = start(open_backend, is_host=False)
    assert is_blocked(early, 0.3)
    open_backend(is_host=True).set_state(b"state")
    found = early.result(PATIENCE).get_state()
    assert found
    assert found[0] == b"state"


def test_the_store_serves_until_the_others_are_done(open_backend: Open) -> None:
    """A host that ends first stays for those who are about to end."""
    host, other = open_backend(), open_backend()
    other.set_state(b"state")
    closing_host = start(host.close)
    assert is_blocked(closing_host, 0.2)
    assert other.get_state()
    other.close()
    closing_host.result(PATIENCE)


def test_the_port_is_free_once_the_host_has_closed(open_backend: Open) -> None:
    for _ in range(3):
        backend = open_backend()
        assert backend.get_state() is None
        backend.set_state(b"state")
        backend.close()


# Where it listens


@pytest.mark.parametrize(
    ("host", "listens"),
    [
        ("127.0.0.1", "0100007F"),
        ("127.0.0.7", "0700007F"),
        ("localhost", "0100007F"),
        ("[::1]", "00000000000000000000000001000000"),
    ],
)
def test_a_loopback_endpoint_listens_on_loopback(
    open_backend: Open, port: int, host: str, listens: str
) -> None:
    """Nobody on the network gets at the keys of a run that is this machine's own."""
    backend = open_backend(host)
    backend.set_state(b"state")
    assert listening(port) == [listens]
    assert address_towards(backend.hosts).address in ("127.0.0.1", "127.0.0.7", "::1")
    found = open_backend(host, is_host=False).get_state()
    assert found
    assert found[0] == b"state"


def test_a_name_that_may_mean_something_else_to_others(
    open_backend: Open, port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As Debian has it, the machine's own name leads to 127.0.1.1 there, and nowhere else."""
    resolve = socket.getaddrinfo

    def answer(host: str, *arguments: Any, **options: Any) -> list[Any]:
        return resolve("127.0.1.1" if host == "alpha.example" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    caplog.set_level(logging.INFO, "rendezvous_c10d")
    assert open_backend("alpha.example").hosts is None
    assert len(listening(port)) == 1
    assert set(listening(port)[0]) == {"0"}
    assert f"The TCPStore at alpha.example:{port} listens on all interfaces" in caplog.text


def test_an_address_is_meant_by_a_name_only_if_it_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "one": ["10.0.0.1"],
        "own": ["10.0.0.1", "10.9.9.9"],
        "two": ["10.0.0.1", "10.0.0.2"],
        "other": ["10.9.9.9"],
    }

    def answer(host: str, *_: Any, **options: Any) -> list[Any]:
        return [(socket.AF_INET, 0, 0, "", (address, 0)) for address in known.get(host, [host])]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr("rendezvous_c10d._hosting.can_bind", lambda _, place: place[0].startswith("10.0."))
    assert [address_for(each) for each in ("one", "own", "two", "other")] == ["10.0.0.1", "10.0.0.1", "", ""]
    assert address_for("10.0.0.2") == "10.0.0.2"


# Who waits


def test_who_waits_for_the_host_says_so(
    open_backend: Open, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each reason; the round's time limit is the longest that it waits."""
    caplog.set_level(logging.INFO, "rendezvous_c10d")
    with pytest.raises(RendezvousConnectionError, match=r"within 0\.4 s \(connect_timeout\)"):
        open_backend("127.0.0.1", is_host=False, connect_timeout=60, join_timeout=0.4)
    waiting = [line for line in caplog.messages if line.startswith("Waiting")]
    assert len(waiting) == 1
    assert re.match(
        rf"Waiting for the TCPStore at 127\.0\.0\.1:{port}, for up to [0-9.]+ s more: ", waiting[0]
    )
    assert "Connection refused" in waiting[0]


def test_a_name_that_is_not_there_yet_is_waited_for(
    open_backend: Open, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a pod whose service is not there when others start."""
    open_backend("127.0.0.1")
    resolve = socket.getaddrinfo
    asked = []

    def answer(host: str, *arguments: Any, **options: Any) -> list[Any]:
        if host == "pod.example":
            asked.append(host)
            if len(asked) < 4:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            host = "127.0.0.1"
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr(
        "rendezvous_c10d._tcp.open_client", lambda place, timeout: TCPStore("127.0.0.1", port)
    )
    assert open_backend("pod.example", is_host=False).get_state() is None
    assert len(asked) >= 4


# What is said where it cannot be


def test_nobody_hosts(open_backend: Open, port: int) -> None:
    """Says which addresses refused, why this node does not host, and what to do."""
    with pytest.raises(RendezvousConnectionError) as raised:
        open_backend("127.0.0.1", is_host=False, read_timeout=0.3)
    message = str(raised.value)
    assert f"127.0.0.1:{port}: [Errno 111] Connection refused" in message
    assert "within 0.3 s (connect_timeout)" in message
    assert "is_host=false" in message
    assert "is_host=true" in message


def test_a_host_that_cannot_be_resolved(open_backend: Open) -> None:
    with pytest.raises(RendezvousConnectionError, match=r"nowhere\.invalid.*cannot be resolved"):
        open_backend("nowhere.invalid", read_timeout=0.3)


@pytest.mark.parametrize(
    ("stranger", "is_host", "read_timeout", "what"),
    [
        (Stranger, None, 2, "it did not answer within"),
        (BaseHTTPRequestHandler, False, 2, "it did not answer within"),
        (Talker, True, 60, "it answered something else"),
    ],
)
def test_the_port_is_in_use_by_something_else(
    open_backend: Open,
    port: int,
    stranger: type[BaseRequestHandler],
    is_host: bool | None,
    read_timeout: float,
    what: str,
) -> None:
    with occupied(port, stranger), pytest.raises(RendezvousConnectionError) as raised:
        open_backend(is_host=is_host, read_timeout=read_timeout)
    assert f"listens at localhost:{port}, but it is no TCPStore" in str(raised.value)
    assert what in str(raised.value)
    assert "Choose another port" in str(raised.value)


def test_the_port_is_in_use_by_another_run(open_backend: Open) -> None:
    open_backend(run_id="first")
    with pytest.raises(RendezvousStateError, match="belongs to the run 'first', not to 'second'"):
        open_backend(run_id="second")
    open_backend(run_id="first")


def test_a_store_that_no_node_hosts_serves_many_runs(open_backend: Open, port: int) -> None:
    store = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    for run_id in ("first", "second"):
        open_backend("127.0.0.1", run_id, is_host=False).set_state(run_id.encode())
    del store


def test_the_default_port() -> None:
    params = RendezvousParameters("c10d", "127.0.0.99", "run", 1, 2, is_host=False, read_timeout=0.1)
    with pytest.raises(RendezvousConnectionError, match=r"127\.0\.0\.99:29400"):
        create_backend(params)


@pytest.mark.parametrize(
    ("endpoint", "options", "named"),
    [
        ("localhost:port", {}, "localhost:port"),
        ("https://localhost", {}, "URL"),
        ("localhost", {"store_type": "tape"}, "store_type"),
        ("localhost", {"read_timeout": "-1"}, "read_timeout"),
        ("localhost", {"read_timeout": "soon"}, "read_timeout"),
        ("localhost", {"read_timeout": "1e300"}, "read_timeout"),
        ("localhost", {"connect_timeout": "0"}, "connect_timeout"),
        ("localhost", {"connect_timeout": "soon"}, "connect_timeout"),
        ("localhost", {"is_host": "perhaps"}, "is_host"),
    ],
)
def test_bad_parameters(endpoint: str, options: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        create_backend(RendezvousParameters("c10d", endpoint, "run", 1, 2, **options))


def test_no_run_id() -> None:
    with pytest.raises(ValueError, match="run id"):
        create_backend(RendezvousParameters("c10d", "localhost", "", 1, 2))


# Files


def test_a_file(tmp_path: Path) -> None:
    params = RendezvousParameters("c10d", str(tmp_path / "store"), "run", 1, 2, store_type=" File ")
    (one, store), (other, _) = create_backend(params), create_backend(params)
    one.set_state(b"state")
    found = other.get_state()
    assert found
    assert found[0] == b"state"
    store.set("key", "value")
    assert (tmp_path / "store").stat().st_size > 0


@pytest.mark.parametrize("path", [".", "missing/store"])
def test_a_file_that_cannot_be_used(tmp_path: Path, path: str) -> None:
    params = RendezvousParameters("c10d", str(tmp_path / path), "run", 1, 2, store_type="file")
    with pytest.raises(RendezvousConnectionError, match="cannot be used as a store"):
        create_backend(params)
