"""Waiting: woken by what one waits for, whoever did it, and asleep otherwise."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import pytest

from rendezvous_core import Token
from rendezvous_core.sqlite import SqliteBackend, SqliteStore
from rendezvous_core.sqlite.database import Database
from rendezvous_core.sqlite.events import FileEvents
from rendezvous_core.sqlite.watch import Watch
from tests.core.sqlite.scripts import Script, running

T = TypeVar("T")
LONG = 60.0

WRITER = """
backend, store = SqliteBackend(path, "run"), SqliteStore(path, "run")
say("ready")
for line in sys.stdin:
    match line.strip():
        case "state":
            current = backend.get_state()
            backend.set_state(b"theirs", current[1] if current else None)
        case "announce":
            backend.put_member("node", b"record", announce=True)
        case "heartbeat":
            backend.put_member("node", b"record", announce=False)
        case "key":
            store.set("key", "value")
        case "item":
            store.queue_push("queue", "item")
    say("done")
"""


class Sleepers:
    """Threads that wait for a database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pool = ThreadPoolExecutor(512)
        self._asleep = threading.Semaphore(0)
        run = Watch.run

        def run_and_tell(watch: Watch, path: str, look: Callable[[], bool]) -> None:
            run(watch, path, look)
            self._asleep.release()

        monkeypatch.setattr(Watch, "run", run_and_tell)

    def start(self, function: Callable[[], T]) -> Future[T]:
        """Call ``function`` in a thread; return when it has found nothing and waits."""
        future = self._pool.submit(function)
        assert self._asleep.acquire(timeout=LONG)
        return future

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture
def sleepers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sleepers]:
    with closing(Sleepers(monkeypatch)) as sleepers:
        yield sleepers


@pytest.fixture(params=["told by the kernel", "looking at intervals"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "looking at intervals":
        monkeypatch.setattr(FileEvents, "listen", lambda self, path: None)


@pytest.fixture
def backend(path: str) -> SqliteBackend:
    return SqliteBackend(path, "run")


@pytest.fixture
def writer(path: str, backend: SqliteBackend) -> Iterator[Script]:
    with running(WRITER, path) as script:
        assert script.hear() == "ready"
        yield script


def order(writer: Script, *commands: str) -> None:
    for command in commands:
        writer.tell(command)
        assert writer.hear() == "done"


def written(backend: SqliteBackend, state: bytes = b"state") -> Token:
    current = backend.get_state()
    outcome = backend.set_state(state, current[1] if current else None)
    assert outcome
    assert outcome[2]
    return outcome[1]


@pytest.mark.usefixtures("_either_way")
class TestWoken:
    def test_by_a_state_of_another_process(
        self, sleepers: Sleepers, backend: SqliteBackend, writer: Script
    ) -> None:
        token = written(backend)
        woken = sleepers.start(lambda: backend.wait_for_change(token, LONG))
        order(writer, "state")
        assert woken.result()
        current = backend.get_state()
        assert current
        assert current[0] == b"theirs"

    def test_by_an_announcement_of_another_process(
        self, sleepers: Sleepers, backend: SqliteBackend, writer: Script
    ) -> None:
        heard = backend.members().token
        woken = sleepers.start(lambda: backend.wait_for_change(None, LONG, heard))
        order(writer, "announce")
        assert woken.result()
        assert backend.members().records == {"node": b"record"}

    def test_by_keys_and_items_of_another_process(
        self, sleepers: Sleepers, path: str, writer: Script
    ) -> None:
        store = SqliteStore(path, "run", LONG)
        value = sleepers.start(lambda: store.get("key"))
        item = sleepers.start(lambda: store.queue_pop("queue"))
        order(writer, "key", "item")
        assert (value.result(), item.result()) == (b"value", b"item")

    def test_by_this_process(self, sleepers: Sleepers, path: str, backend: SqliteBackend) -> None:
        token, heard, store = written(backend), backend.members().token, SqliteStore(path, "run", LONG)
        changed = sleepers.start(lambda: backend.wait_for_change(token, LONG))
        announced = sleepers.start(lambda: backend.wait_for_change(token, LONG, heard))
        value = sleepers.start(lambda: store.get("key"))
        backend.put_member("node", b"record", announce=True)
        assert announced.result()
        store.set("key", "value")
        assert value.result() == b"value"
        assert not changed.done()
        written(backend)
        assert changed.result()

    def test_by_a_writer_that_died_before_it_could_tell(
        self, sleepers: Sleepers, path: str, backend: SqliteBackend
    ) -> None:
        token = written(backend)
        woken = sleepers.start(lambda: backend.wait_for_change(token, LONG))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE runs SET token = x'00'")
        assert woken.result()

    def test_by_the_loss_of_the_file(self, sleepers: Sleepers, path: str, backend: SqliteBackend) -> None:
        token = written(backend)
        woken = sleepers.start(lambda: backend.wait_for_change(token, LONG))
        os.unlink(path)
        assert woken.result()
        assert backend.get_state() is None


def test_heartbeats_and_other_runs_wake_nobody(
    sleepers: Sleepers, path: str, backend: SqliteBackend, writer: Script
) -> None:
    token = written(backend)
    backend.put_member("node", b"record", announce=True)
    heard = backend.members().token
    asleep = sleepers.start(lambda: backend.wait_for_change(token, 1.0, heard))
    other = SqliteBackend(path, "other")
    order(writer, "heartbeat")
    other.put_member("node", b"record", announce=True)
    written(other)
    SqliteStore(path, "run").set("key", "value")
    backend.put_member("node", b"record", announce=False)
    assert not asleep.result()


def test_waiting_threads_share_one_thread_that_sleeps_too(
    sleepers: Sleepers, backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = Database._look

    def look_and_count(database: Database) -> bool:
        nonlocal looks
        looks += 1
        return look(database)

    monkeypatch.setattr(Database, "_look", look_and_count)
    token = written(backend)
    before = set(threading.enumerate())
    waiting = [sleepers.start(lambda: backend.wait_for_change(token, LONG)) for _ in range(512)]
    assert len(set(threading.enumerate()) - before) == len(waiting) + 1
    looks = 0
    assert not backend.wait_for_change(token, 1.0)
    assert looks < 100
    assert not any(future.done() for future in waiting)
    written(backend)
    assert all(future.result() for future in waiting)


def test_closing_wakes_those_who_wait(sleepers: Sleepers, backend: SqliteBackend) -> None:
    woken = sleepers.start(lambda: backend.wait_for_change(None, LONG))
    backend.close()
    assert woken.result()


def test_a_database_can_be_opened_at_the_moment_in_which_its_last_user_goes(
    sleepers: Sleepers, path: str, backend: SqliteBackend, writer: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[SqliteStore] = []
    stop = Watch.stop

    def stop_and_open(watch: Watch) -> None:
        stop(watch)
        opened.append(SqliteStore(path, "run", LONG))

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "stop", stop_and_open)
        backend.close()
    value = sleepers.start(lambda: opened[0].get("key"))
    order(writer, "key")
    assert value.result() == b"value"


def test_the_last_user_closes_the_file(path: str) -> None:
    def opened() -> list[str]:
        links = [f"/proc/self/fd/{descriptor}" for descriptor in os.listdir("/proc/self/fd")]
        return [os.readlink(link) for link in links if os.path.lexists(link)]

    backend, store = SqliteBackend(path, "run"), SqliteStore(path, "run")
    assert opened().count(path) == 1, "all share one connection"
    backend.close()
    assert path in opened()
    store.set("key", "value")
    del store
    assert path not in opened()
