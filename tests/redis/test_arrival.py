"""Servers, and names of servers, that are not there yet when a node starts are waited for."""

import logging
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousParameters,
    RendezvousStateError,
    get_rendezvous_handler,
)
from rendezvous_core.ports.serving import free_port
from rendezvous_core.testing.suites.threads import is_blocked, start
from rendezvous_redis import RedisServer, RedisStore, _client
from tests.redis.conftest import OpenRun
from tests.redis.groups import PATIENCE, Cluster
from tests.redis.servers import server_of

MOMENT = 0.3


@pytest.fixture(autouse=True)
def talkative(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What is waited for is in the log soon."""
    monkeypatch.setattr(_client, "_QUIET", 0.1)
    caplog.set_level(logging.WARNING, "rendezvous_redis")


def waits(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if message.startswith("Waiting up to ")]


def test_a_server_that_comes_later(binary: Path, open_run: OpenRun, caplog: pytest.LogCaptureFixture) -> None:
    """A run opens when the server is there; the log has said once what it waits for, and for how long."""
    server = RedisServer(free_port(), binary=binary)
    opening = start(open_run, server.endpoint)
    assert is_blocked(opening, MOMENT)
    with server:
        RedisStore(opening.result(PATIENCE)).set("key", b"value")
    (line,) = waits(caplog)
    assert f"60 s for the Redis server {server.endpoint}: nobody listens there" in line


def test_a_name_that_comes_later(
    shared_server: RedisServer,
    open_run: OpenRun,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A name that is not known yet, as that of a pod beside this one, is waited for."""
    look_up, is_there = socket.getaddrinfo, threading.Event()

    def look_up_late(host: Any, *rest: Any) -> Any:
        if host != "redis.test":
            return look_up(host, *rest)
        if not is_there.is_set():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up("127.0.0.1", *rest)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_late)
    opening = start(open_run, f"redis.test:{shared_server.port}")
    assert is_blocked(opening, MOMENT)
    is_there.set()
    assert opening.result(PATIENCE)
    (line,) = waits(caplog)
    assert "its name is not known" in line


def test_a_cluster_that_comes_later(tmp_path: Path, open_run: OpenRun) -> None:
    """So is a cluster, until it serves the slot of the run."""
    cluster = Cluster(server_of("valkey"), tmp_path)
    cluster.stop()
    opening = start(open_run, cluster.endpoint)
    try:
        assert is_blocked(opening, MOMENT)
        cluster.start()
        assert opening.result(PATIENCE)
    finally:
        cluster.stop()


def test_a_server_that_never_comes(open_run: OpenRun, caplog: pytest.LogCaptureFixture) -> None:
    """When ``connect_timeout`` is over, the error says what is missing; each reason is in the log once."""
    with pytest.raises(RendezvousConnectionError, match="nobody listens there: start it"):
        open_run(f"127.0.0.1:{free_port()}", connect_timeout=1.5)
    assert len(waits(caplog)) == 1


def test_joining_bounds_the_wait(run_id: str) -> None:
    """Nobody waits for a server for longer than for a round."""
    params = RendezvousParameters("redis", f"127.0.0.1:{free_port()}", run_id, 1, 1, join_timeout=0.5)
    creating = start(get_rendezvous_handler, params)
    assert isinstance(creating.exception(PATIENCE / 2), RendezvousConnectionError)


def test_a_refusal_is_not_waited_for(binary: Path, open_run: OpenRun) -> None:
    """What will not pass is told long before patience ends."""
    with RedisServer(binary=binary, password="s3cret") as server:
        opening = start(open_run, server.endpoint, connect_timeout=10 * PATIENCE)
        assert isinstance(opening.exception(PATIENCE), RendezvousStateError)


def test_a_short_trouble_is_no_news(
    open_run: OpenRun, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A first attempt that fails alone is not worth a line."""
    monkeypatch.setattr(_client, "_QUIET", PATIENCE)
    opening = start(open_run, f"127.0.0.1:{free_port()}", connect_timeout=0.5)
    assert opening.exception(PATIENCE)
    assert not waits(caplog)
