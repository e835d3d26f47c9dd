"""Every operation under every kind of trouble with the server: what it returns, and that it happens once."""

import os
import signal
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from rendezvous_core.testing import Proxy
from rendezvous_core.testing.suites.threads import is_blocked, start
from rendezvous_redis import RedisServer
from tests.redis.groups import PATIENCE, Sentinels, ask, until
from tests.redis.operations import AS_EVER, EMPTY, MOMENT, OF_BACKENDS, OPERATIONS, Client
from tests.support.suspending import suspend


class Clients:
    """One for each operation, so that all can be in trouble at once."""

    def __init__(self, endpoint: str) -> None:
        self._clients = {name: Client(endpoint) for name in OPERATIONS}

    def begin(self, names: Collection[str] = OPERATIONS) -> dict[str, Future[Any]]:
        """Call everything, or what is named."""
        return {name: start(OPERATIONS[name][0], self._clients[name]) for name in names}

    def outcome(self, calls: dict[str, Future[Any]]) -> dict[str, tuple[object, object]]:
        """What the calls have returned or raised, and what they have done."""
        told = {
            name: type(error) if (error := call.exception(PATIENCE)) else call.result()
            for name, call in calls.items()
        }
        return {name: (told[name], OPERATIONS[name][1](client)) for name, client in self._clients.items()}

    def set_timeout(self, seconds: float) -> None:
        for client in self._clients.values():
            client.store.set_timeout(seconds)

    def close(self) -> None:
        for client in self._clients.values():
            client.run.close()


@pytest.fixture
def open_clients() -> Iterator[Callable[[str], Clients]]:
    opened: list[Clients] = []

    def open_clients(endpoint: str) -> Clients:
        opened.append(Clients(endpoint))
        return opened[-1]

    yield open_clients
    for each in opened:
        each.close()


def kill(server: RedisServer) -> None:
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


def test_killed(binary: Path, tmp_path: Path, open_clients: Callable[[str], Clients]) -> None:
    """Killed now, and started again with its data."""
    with RedisServer(binary=binary, data_dir=tmp_path, config=["appendfsync always"]) as server:
        clients = open_clients(server.endpoint)
        kill(server)
        calls = clients.begin()
        assert all(is_blocked(call, 0) for call in calls.values())
        server.start()
        assert clients.outcome(calls) == AS_EVER


def test_paused(own_server: RedisServer, open_clients: Callable[[str], Clients]) -> None:
    """Paused for longer than a reply is awaited, and back."""
    clients = open_clients(own_server.endpoint)
    suspend(own_server.pid)
    calls = clients.begin()
    assert is_blocked(calls["set"], 2.6)
    os.kill(own_server.pid, signal.SIGCONT)
    assert clients.outcome(calls) == AS_EVER


def test_reply_lost(shared_server: RedisServer, open_clients: Callable[[str], Clients]) -> None:
    """The server has done it, and nobody was told."""
    with Proxy(shared_server.host, shared_server.port) as proxy:
        for name, (call, seen, as_ever, _) in OPERATIONS.items():
            client = Client(proxy.endpoint)
            with proxy.lose_reply() as lost:
                assert (call(client), seen(client)) == as_ever, name
                assert lost.is_set()
            client.run.close()


def test_restarted_empty(own_server: RedisServer, open_clients: Callable[[str], Clients]) -> None:
    """Another server in its place, which knows nothing."""
    clients = open_clients(own_server.endpoint)
    kill(own_server)
    own_server.start()
    clients.set_timeout(MOMENT)
    assert clients.outcome(clients.begin()) == EMPTY


def test_failover(binary: Path, tmp_path: Path, open_clients: Callable[[str], Clients]) -> None:
    """The primary dies, and a replica that has everything takes its place."""
    group = Sentinels(binary, tmp_path)
    try:
        clients = open_clients(group.endpoint)
        primary = group.primary
        until(lambda: ask(primary, "WAIT", 1, 1000))
        os.kill(primary.pid, signal.SIGKILL)
        calls = clients.begin(OPERATIONS.keys() - OF_BACKENDS)
        until(lambda: group.primary is not primary)
        # Those are patient for five seconds only, which is up to their callers.
        calls |= clients.begin(OF_BACKENDS)
        assert clients.outcome(calls) == AS_EVER
    finally:
        group.stop()
