"""What torchrun's agent gets to see: torch's errors, torch's events, its signals, and whole rounds."""

import json
import logging
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import DistStoreError, Store, TCPStore
from torch.distributed.elastic import events
from torch.distributed.elastic import rendezvous as torchs

import rendezvous_core
from rendezvous_c10d.torchrun import TorchrunHandler, create_handler
from rendezvous_c10d.torchrun.gathering import Address, gather
from rendezvous_core.sqlite import SqliteStore
from tests.c10d import backends
from tests.c10d.backends import Backend
from tests.c10d.servers import listening
from tests.interruption.points import Point
from tests.support import option_tables


def handler(folder: Path, nodes: int = 1, address: str = "127.0.0.1", **conf: object) -> TorchrunHandler:
    params = torchs.RendezvousParameters(
        "sqlite", str(folder / "run.db"), "run", nodes, nodes, address, **{"timeout": 900, **conf}
    )
    return create_handler(params)


def test_errors_are_torchs_and_say_why(tmp_path: Path) -> None:
    late = handler(tmp_path, 2, join_timeout="0.2")
    with pytest.raises(torchs.RendezvousTimeoutError, match=r"127\.0\.0\.1.*1 more") as timeout:
        late.next_rendezvous()
    assert isinstance(timeout.value.__cause__, rendezvous_core.RendezvousTimeoutError)
    late.set_closed()
    assert late.is_closed()
    with pytest.raises(torchs.RendezvousClosedError, match="'run' is closed"):
        late.next_rendezvous()
    assert late.shutdown()


def test_stores_are_torchs_and_rounds_have_addresses_of_their_own(tmp_path: Path) -> None:
    alone = handler(tmp_path)
    first, second = alone.next_rendezvous(), alone.next_rendezvous()
    assert isinstance(first.store, Store)
    with pytest.raises(DistStoreError, match="'never'"):
        first.store.wait(["never"], 0.01)
    assert first.bootstrap_store_info.master_addr == "127.0.0.1"
    assert first.bootstrap_store_info.master_port != second.bootstrap_store_info.master_port
    assert alone.shutdown()


@pytest.mark.parametrize("torch_shares", [True, False], ids=["torch 2.6", "torch 2.5"])
def test_agents_host_the_store_of_workers_that_can_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch_shares: bool
) -> None:
    """Workers of torch 2.5 look under a count of restarts that differs from agent to agent."""
    monkeypatch.setattr("rendezvous_c10d.torchrun.handler._WORKERS_SHARE_KEYS", torch_shares)
    alone = handler(tmp_path)
    bootstrap = alone.next_rendezvous().bootstrap_store_info
    assert alone.use_agent_store is torch_shares
    with socket.socket() as client:
        refused = client.connect_ex((bootstrap.master_addr, bootstrap.master_port))
    assert bool(refused) is not torch_shares
    alone.shutdown()


# Ports


@pytest.mark.parametrize(
    ("address", "listens"), [("127.0.0.1", "0100007F"), ("::1", "00000000000000000000000001000000")]
)
def test_the_store_of_workers_listens_at_the_address_of_its_agent_alone(
    tmp_path: Path, address: str, listens: str
) -> None:
    alone = handler(tmp_path, address=address)
    bootstrap = alone.next_rendezvous().bootstrap_store_info
    assert listening(bootstrap.master_port) == [listens]
    TCPStore(bootstrap.master_addr, bootstrap.master_port, is_master=False).set("key", "value")
    alone.shutdown()
    assert listening(bootstrap.master_port) == []


@contextmanager
def taken() -> Iterator[int]:
    """A port that is in use, and the next one, which is not."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = int(server.getsockname()[1])
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except OSError:
                continue
            yield port
            return


@pytest.mark.parametrize("shared", ["0", "1"], ids=["by the agent", "by the worker"])
def test_workers_meet_at_the_port_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: str
) -> None:
    """The first free one of several, in each round: firewalls let no other through."""
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", shared)
    with taken() as port:
        alone = handler(tmp_path, master_port=f"{port}-{port + 1}")
        for _ in range(3):
            assert alone.next_rendezvous().bootstrap_store_info.master_port == port + 1
        alone.shutdown()


@pytest.mark.parametrize("shared", ["0", "1"], ids=["by the agent", "by the worker"])
def test_a_port_that_is_taken_is_told_with_its_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: str
) -> None:
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", shared)
    with taken() as port:
        alone = handler(tmp_path, master_port=port)
        with pytest.raises(torchs.RendezvousError, match=f"'master_port'.*free at '127.0.0.1'.*{port}"):
            alone.next_rendezvous()
        alone.shutdown()


@pytest.mark.parametrize("given", ["0", "65536", "http", "29500-", "29600-29500", "-1", "1-2-3"])
def test_what_is_no_port_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(ValueError, match=f"'master_port' .*{given}.*29500-29599"):
        handler(tmp_path, master_port=given)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"master_prot": "1234"}, "'sqlite' has no option 'master_prot'; did you mean 'master_port'"),
        ({"join_timout": "5"}, "'sqlite' has no option 'join_timout'; did you mean 'join_timeout'"),
        (
            {"close_on_failur": "1"},
            "'sqlite' has no option 'close_on_failur'; did you mean 'close_on_failure'",
        ),
        ({"timeout": "60"}, "'sqlite' has no option 'timeout'; did you mean 'join_timeout'"),
        ({"is_host": "1"}, "'sqlite' has no option 'is_host'"),
        ({"use_backend": "redis"}, "'use_backend' .'redis'. is for --rdzv-backend=rendezvous"),
        ({"close_on_failure": "maybe"}, r"'close_on_failure' \('maybe'\) must be true or false"),
        ({"join_timeout": "1e10"}, "'join_timeout' .* must be a positive number of seconds from 0.001 to"),
        ({"keep_alive_interval": "often"}, "'keep_alive_interval' .'often'. must be a positive number"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(
    tmp_path: Path, conf: dict[str, Any], message: str
) -> None:
    """What torchrun adds by itself, ``timeout=900``, and what the adapter reads, is none."""
    with pytest.raises(ValueError, match=message):
        handler(tmp_path, **conf)
    assert not list(tmp_path.iterdir())


def test_the_options_of_the_backend_behind_the_name_count(tmp_path: Path) -> None:
    """``is_host`` is one of c10d, whose choices are named."""
    conf = {"timeout": 900, "use_backend": "c10d", "is_host": "maybe"}
    params = torchs.RendezvousParameters("rendezvous", "localhost:0", "run", 1, 1, **conf)
    with pytest.raises(ValueError, match=r"'is_host' \('maybe'\) must be true or false"):
        create_handler(params)


@pytest.mark.parametrize(
    ("endpoint", "conf", "message"),
    [
        ("tcp://alpha:29400", {}, "'c10d' takes none: --backend c10d --endpoint alpha:29400"),
        ("alpha", {"use_bakcend": "c10d"}, "in --rdzv-conf=use_backend=<name>, and was given 'use_bakcend'"),
        ("alpha", {"join_timeout": "5"}, "in --rdzv-conf=use_backend=<name>. Installed: c10d"),
    ],
)
def test_a_backend_that_is_not_named_is_asked_for(endpoint: str, conf: dict[str, str], message: str) -> None:
    params = torchs.RendezvousParameters("rendezvous", endpoint, "run", 1, 1, timeout=900, **conf)
    with pytest.raises(ValueError, match=message):
        create_handler(params)


def test_the_scheme_of_an_endpoint_names_the_backend() -> None:
    params = torchs.RendezvousParameters("rendezvous", "redis://host:port", "run", 1, 1, timeout=900)
    with pytest.raises((ValueError, torchs.RendezvousError), match=r"'host:port' must have|'redis' is not"):
        create_handler(params)


def test_the_readme_shows_all_options() -> None:
    option_tables.check("rendezvous-c10d")


def static(folder: Path, port: int, **conf: object) -> TorchrunHandler:
    options = {"use_backend": "static", "rank": 0, "store_endpoint": str(folder / "run.db"), **conf}
    params = torchs.RendezvousParameters("rendezvous", f"127.0.0.1:{port}", "run", 1, 1, **options)
    return create_handler(params)


def test_static_keeps_the_port_that_was_given(tmp_path: Path) -> None:
    with taken() as port:
        free = static(tmp_path, port + 1)
        for _ in range(2):
            assert free.next_rendezvous().bootstrap_store_info.master_port == port + 1
        free.shutdown()
        late = static(tmp_path, port)
        with pytest.raises(torchs.RendezvousError, match=f"the endpoint names.*{port}"):
            late.next_rendezvous()
        late.shutdown()
    with pytest.raises(ValueError, match=r"'master_port'.*static"):
        static(tmp_path, 1234, master_port=1235)


def test_the_events_of_torch_are_recorded(tmp_path: Path, recorded: list[dict[str, Any]]) -> None:
    node = handler(tmp_path, address="127.0.0.7")
    node.next_rendezvous()
    node.shutdown()
    with pytest.raises(torchs.RendezvousClosedError):
        handler(tmp_path).next_rendezvous()
    told = [(event["name"], event["node_state"], event["rank"]) for event in recorded]
    ask, shutdown = "handler.py:TorchrunHandler.next_rendezvous", "handler.py:TorchrunHandler.shutdown"
    assert told == [
        (ask, "RUNNING", None),
        (ask, "RUNNING", 0),
        (shutdown, "SUCCEEDED", None),
        (ask, "RUNNING", None),
        (ask, "FAILED", None),
    ]
    assert [event["hostname"] for event in recorded[:3]] == ["127.0.0.7"] * 3
    assert "RendezvousClosedError: " in recorded[-1]["message"]


def test_who_has_failed_leaves_also_where_torch_raises_nothing_yet(tmp_path: Path) -> None:
    """Up to 2.7 the agent shuts down where it stops its failed workers, and later once more."""
    node, other = handler(tmp_path), handler(tmp_path)

    def _stop_workers() -> None:
        assert node.shutdown()

    node.next_rendezvous()
    _stop_workers()
    assert node.shutdown()
    assert not other.is_closed()
    other.next_rendezvous()
    assert other.shutdown()
    assert node.is_closed()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collects what reaches torch's logger of rendezvous events."""
    found: list[dict[str, Any]] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(json.loads(record.getMessage()))

    monkeypatch.setattr(events, "get_logging_handler", lambda destination: Collector())
    monkeypatch.setattr(events, "_events_loggers", {})
    return found


def test_a_round_is_handed_out_to_all_of_its_agents_or_to_none(tmp_path: Path) -> None:
    """One has called it off when rank 0 finds all of them there: nobody may wait for the one any more."""
    store = SqliteStore(str(tmp_path / "run.db"), "run")
    first, second = (rendezvous_core.RendezvousInfo(store, rank, 2, _unused) for rank in (0, 1))
    assert gather(second, _host, lambda: True, 60) is None
    assert gather(first, _host, lambda: False, 60) is None


def test_all_agents_of_a_round_get_the_address_of_rank_0(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "run.db"), "run")
    infos = [rendezvous_core.RendezvousInfo(store, rank, 3, _unused) for rank in range(3)]
    got: list[Address | None] = []
    threads = [
        threading.Thread(target=lambda info=info: got.append(gather(info, _host, lambda: False, 60)))
        for info in infos
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [Address("::1", 29500)] * 3


def test_an_agent_that_is_no_agent_is_told(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "run.db"), "run")
    first = rendezvous_core.RendezvousInfo(store, 0, 2, _unused)
    with pytest.raises(rendezvous_core.RendezvousTimeoutError, match=r"not all of its 2 agents.*confirmed/1"):
        gather(first, _host, lambda: False, 0.1)


def _host(info: rendezvous_core.RendezvousInfo) -> Address:
    return Address("::1", 29500)


def _unused() -> rendezvous_core.RendezvousStoreInfo:
    raise AssertionError("nobody asked for it")


# An agent as far as signals go: torch's handler raises its SignalException in the main thread.
AGENT = """
import json, signal, sys
from torch.distributed.elastic.multiprocessing.api import SignalException, _terminate_process_handler
from torch.distributed.elastic.rendezvous import RendezvousParameters

from rendezvous_c10d.torchrun import create_handler

signal.signal(signal.SIGTERM, _terminate_process_handler)
backend, endpoint, conf = json.loads(sys.argv[1])

def join():
    params = RendezvousParameters(
        backend, endpoint, "run", 1, 2, "127.0.0.1", last_call_timeout=0.1, keep_alive_interval=1, **conf
    )
    return create_handler(params).next_rendezvous()

def interrupt(call, *arguments):
    try:
        print("waiting", flush=True)
        call(*arguments)
    except SignalException as error:
        print(error.sigval.name, flush=True)

store = join().store
interrupt(store.wait, ["never"])
store.set("key", "value")
interrupt(store.get, "never")
print(store.get("key").decode(), flush=True)
interrupt(join)  # as a second node, which has to wait until the first asks again
"""


@contextmanager
def running(meeting: Backend) -> Iterator["subprocess.Popen[str]"]:
    described = json.dumps([meeting.name, meeting.endpoint, meeting.conf])
    agent = subprocess.Popen([sys.executable, "-c", AGENT, described], stdout=subprocess.PIPE, text=True)
    try:
        yield agent
    finally:
        agent.kill()
        agent.communicate()


@pytest.mark.parametrize(
    "backend", [backends.sqlite, backends.c10d, backends.redis, backends.etcd], ids=lambda each: each.__name__
)
def test_signals_get_through_whatever_the_agent_waits_for(tmp_path: Path, backend: Any) -> None:
    """The clients of the backends swallow none, and the store can be used as before."""
    with backend(tmp_path) as meeting, running(meeting) as agent:
        assert agent.stdout is not None
        for after in ("", "", "value\n"):
            assert (agent.stdout.readline() if after else "") == after
            assert agent.stdout.readline() == "waiting\n"
            agent.send_signal(signal.SIGTERM)
            assert agent.stdout.readline() == "SIGTERM\n"
        assert agent.wait(60) == 0


class _Signal(Exception):
    """What a handler of signals raises."""


def _raise_signal() -> None:
    raise _Signal


@pytest.mark.parametrize(
    "method", ["next_rendezvous", "num_nodes_waiting", "is_closed", "set", "get", "wait"]
)
def test_what_a_signals_handler_raises_comes_out_wherever_it_comes(tmp_path: Path, method: str) -> None:
    alone = handler(tmp_path)
    store = alone.next_rendezvous().store
    call: Callable[[], object] = {
        "set": lambda: store.set("key", "value"),
        "get": lambda: store.get("key"),
        "wait": lambda: store.wait(["key"]),
    }.get(method) or getattr(alone, method)
    store.set("key", "value")
    number = 1
    while True:
        with suppress(_Signal), Point(number, _raise_signal) as point:
            call()
        if point.place is None:
            break
        number += 3
    assert number > 10
    assert alone.next_rendezvous().world_size == 1
    assert alone.shutdown()


def test_a_secret_seals_what_torchruns_agents_keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDEZVOUS_SECRET", "the secret of these tests")
    sealed = handler(tmp_path, seal_store="true")
    info = sealed.next_rendezvous()
    info.store.set("key", "value")
    assert info.store.get("key") == b"value"
    assert all(value.startswith(b"rdzv-sealed") for value in _values(tmp_path))
    monkeypatch.delenv("RENDEZVOUS_SECRET")
    with pytest.raises(torchs.RendezvousStateError, match="sealed with a secret, and this node has none"):
        handler(tmp_path).next_rendezvous()
    assert sealed.shutdown()


def _values(folder: Path) -> list[bytes]:
    with sqlite3.connect(folder / "run.db") as database:
        kept = [
            database.execute(f"SELECT {each}").fetchall()
            for each in ("state FROM runs", "value FROM entries")
        ]
    return [bytes(value) for rows in kept for (value,) in rows]
