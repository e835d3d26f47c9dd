"""Servers that are killed, restarted and paused, and replies that are lost, under backend and store."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rendezvous_core import RendezvousConnectionError
from rendezvous_core.testing import Proxy
from rendezvous_core.testing.suites.threads import is_blocked, start
from rendezvous_redis import RedisRendezvousBackend, RedisServer, RedisStore
from tests.redis.conftest import OpenRun
from tests.redis.groups import ask, until
from tests.support.suspending import suspend

PATIENCE = 60.0
MOMENT = 0.2


@pytest.fixture
def proxy(shared_server: RedisServer) -> Iterator[Proxy]:
    with Proxy(shared_server.host, shared_server.port) as proxy:
        yield proxy


def kill(server: RedisServer) -> None:
    """Kill the server, as a crash does."""
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


def test_killed_and_restarted_with_its_data(binary: Path, tmp_path: Path, open_run: OpenRun) -> None:
    """A crash loses nothing that the server has on disk; clients go on by themselves."""
    server = RedisServer(binary=binary, data_dir=tmp_path)
    with server:
        run = open_run(server.endpoint)
        backend, store = RedisRendezvousBackend(run), RedisStore(run)
        written = backend.set_state(b"state")
        backend.put_member("node", b"record", announce=True)
        store.set("key", b"value")
        waiting = start(store.get, "later")
        assert is_blocked(waiting, MOMENT)
        kill(server)
        adding = start(store.add, "number", 5)
        assert is_blocked(adding, MOMENT)
        server.start()
        assert adding.result(PATIENCE) == 5
        assert backend.get_state() == (written and written[:2])
        assert backend.members().records == {"node": b"record"}
        assert store.get("key") == b"value"
        store.set("later", b"came")
        assert waiting.result(PATIENCE) == b"came"


def test_killed_and_restarted_without_data(own_server: RedisServer, open_run: OpenRun) -> None:
    """Who waits for a state to change is told that it is gone; old tokens write nothing."""
    backend = RedisRendezvousBackend(open_run(own_server.endpoint))
    written = backend.set_state(b"state")
    assert written
    waiting = start(backend.wait_for_change, written[1], 2 * PATIENCE)
    assert is_blocked(waiting, MOMENT)
    kill(own_server)
    own_server.start()
    assert waiting.result(PATIENCE)
    assert backend.get_state() is None
    assert backend.set_state(b"late", written[1]) is None
    assert backend.get_state() is None


def test_flushed(own_server: RedisServer, open_run: OpenRun) -> None:
    """Data that is lost without a break of the connection is noticed by the next wait."""
    backend = RedisRendezvousBackend(open_run(own_server.endpoint))
    written = backend.set_state(b"state")
    assert written
    ask(own_server, "FLUSHALL")
    ask(own_server, "SCRIPT", "FLUSH")
    assert start(backend.wait_for_change, written[1], 2 * PATIENCE).result(PATIENCE)
    assert backend.set_state(b"new")


def test_ids_that_start_over(own_server: RedisServer, open_run: OpenRun) -> None:
    """A state that came back with a failover is no news by its id, but by its nonce."""
    backend = RedisRendezvousBackend(open_run(own_server.endpoint))
    written = backend.set_state(b"new")
    assert written
    ask(own_server, "FLUSHALL")
    news, nonce = backend.run.keys.news, "0" * 32
    ask(own_server, "XADD", news, "1-1", "n", nonce)
    ask(own_server, "HSET", backend.run.keys.state, "token", f"1-1 {nonce}", "data", "old")
    assert start(backend.wait_for_change, written[1], 2 * PATIENCE).result(PATIENCE)
    found = backend.get_state()
    assert found
    assert found[0] == b"old"
    waiting = start(backend.wait_for_change, found[1], 2 * PATIENCE)
    assert is_blocked(waiting, MOMENT)
    assert backend.set_state(b"next", found[1])
    assert waiting.result(PATIENCE)


def test_paused_for_ten_seconds(own_server: RedisServer, open_run: OpenRun) -> None:
    """The store sits a pause out, and does everything once; the backend says that it cannot wait."""
    run = open_run(own_server.endpoint)
    backend, store = RedisRendezvousBackend(run), RedisStore(run)
    store.add("number", 1)
    suspend(own_server.pid)
    resume = threading.Timer(10, os.kill, [own_server.pid, signal.SIGCONT])
    resume.start()
    adding = [start(store.add, "number", 1) for _ in range(8)]
    reading = start(store.get, "later")
    began = time.monotonic()
    with pytest.raises(RendezvousConnectionError, match="cannot be reached"):
        backend.get_state()
    assert time.monotonic() - began < 10
    assert sorted(each.result(PATIENCE) for each in adding) == list(range(2, 10))
    assert store.add("number", 0) == 9
    store.set("later", b"came")
    assert reading.result(PATIENCE) == b"came"
    assert backend.get_state() is None
    resume.join()


def test_deadlines_of_a_paused_server(own_server: RedisServer, open_run: OpenRun) -> None:
    """Whatever is called while the server is silent ends, and says so."""
    run = open_run(own_server.endpoint, read_timeout=1.0)
    backend, store = RedisRendezvousBackend(run), RedisStore(run)
    suspend(own_server.pid)
    calls: list[Callable[[], object]] = [
        backend.get_state,
        backend.members,
        partial(backend.put_member, "node", b"record", announce=True),
        partial(backend.wait_for_change, None, 0.5),
        partial(store.set, "key", b"value"),
        partial(store.get, "key"),
        partial(store.wait, ["key"], 0.5),
        partial(store.queue_pop, "queue", timeout=0.5),
    ]
    for error in [each.exception(PATIENCE / 2) for each in [start(call) for call in calls]]:
        assert isinstance(error, RendezvousConnectionError), error
    os.kill(own_server.pid, signal.SIGCONT)


def test_closing_ends_all_calls(shared_server: RedisServer, open_run: OpenRun) -> None:
    """What waits when a run is closed raises; so does what is called later."""
    run = open_run(shared_server.endpoint)
    backend, store = RedisRendezvousBackend(run), RedisStore(run)
    waiting: list[Future[Any]] = [
        start(backend.wait_for_change, None, 2 * PATIENCE),
        start(store.get, "key"),
        start(store.get, "other"),
        start(store.queue_pop, "queue"),
    ]
    assert all(is_blocked(each, MOMENT) for each in waiting)
    backend.close()
    for each in waiting:
        assert isinstance(each.exception(PATIENCE), RendezvousConnectionError)
    with pytest.raises(RendezvousConnectionError, match="closed"):
        store.set("key", b"value")


def test_signal_handler_in_a_wait(shared_server: RedisServer, open_run: OpenRun) -> None:
    """A signal handler may call anything, waits included, in the middle of a wait of its thread."""
    run, other = open_run(shared_server.endpoint), RedisStore(open_run(shared_server.endpoint))
    backend, store = RedisRendezvousBackend(run), RedisStore(run)
    done: list[object] = []

    def handle(*_: object) -> None:
        done.append(store.get("inner"))
        done.append(store.queue_pop("queue"))
        done.append(store.add("number", 1))
        done.append(backend.wait_for_change(None, 0))

    def awaits(name: str) -> object:
        return ask(shared_server, "HEXISTS", run.keys.waiters, name)

    def act() -> None:
        until(lambda: awaits("kouter"))
        os.kill(os.getpid(), signal.SIGUSR1)
        until(lambda: awaits("kinner"))
        other.set("inner", b"value")
        until(lambda: awaits("qqueue"))
        other.queue_push("queue", b"item")
        until(lambda: len(done) == 4)
        other.set("outer", b"value")

    former = signal.signal(signal.SIGUSR1, handle)
    try:
        acting = start(act)
        assert store.get("outer") == b"value"
        acting.result(PATIENCE)
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert done == [b"value", b"item", 1, False]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child(shared_server: RedisServer, open_run: OpenRun) -> None:
    """A forked child may use what its parent opened, while the parent goes on using it."""
    run = open_run(shared_server.endpoint)
    backend, store = RedisRendezvousBackend(run), RedisStore(run)
    waiting = start(store.get, "from-child")
    assert is_blocked(waiting, MOMENT)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            backend.put_member("child", b"record", announce=True)
            assert store.get("from-parent") == b"here"
            for _ in range(50):
                store.add("number", 1)
            store.set("from-child", b"here")
            status = 0
        finally:
            os._exit(status)
    store.set("from-parent", b"here")
    for _ in range(50):
        store.add("number", 1)
    assert waiting.result(PATIENCE) == b"here"
    assert os.waitpid(child, 0)[1] == 0
    assert store.add("number", 0) == 100
    assert backend.members().records == {"child": b"record"}
