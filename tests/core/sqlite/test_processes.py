"""Many processes on one file: nothing is lost, whoever dies."""

import pytest

from rendezvous_core import RendezvousConnectionError
from rendezvous_core.sqlite import SqliteBackend, SqliteStore, database
from tests.core.sqlite.scripts import run, running


def test_no_update_of_32_processes_is_lost(path: str) -> None:
    run(
        """
        def race():
            backend, store = SqliteBackend(path, "run"), SqliteStore(path, "run")
            for _ in range(20):
                store.add("sum", 1)
                store.append("text", "x")
                written = False
                while not written:
                    current = backend.get_state()
                    value = int(current[0]) + 1 if current else 1
                    outcome = backend.set_state(b"%d" % value, current[1] if current else None)
                    written = outcome[2]

        join([fork(race) for _ in range(32)])
        """,
        path,
    )
    current = SqliteBackend(path, "run").get_state()
    assert current
    assert current[0] == b"640"
    assert SqliteStore(path, "run").multi_get(["sum", "text"]) == [b"640", b"x" * 640]


def test_one_of_32_processes_creates_the_state(path: str) -> None:
    said = run(
        """
        def race(number):
            outcome = SqliteBackend(path, "run").set_state(b"%d" % number)
            say(outcome[0].decode(), outcome[1].hex(), outcome[2])

        join([fork(race, number) for number in range(32)])
        """,
        path,
    )
    outcomes = [line.split() for line in said.splitlines()]
    assert len(outcomes) == 32
    assert len({(state, token) for state, token, _ in outcomes}) == 1
    assert [written for _, _, written in outcomes].count("True") == 1


def test_writers_killed_at_any_moment_lose_nothing_and_hold_up_nobody(path: str) -> None:
    script = """
        def write(name):
            store = SqliteStore(path, "run")
            while True:
                os.write(writing, b"%d\\n" % store.add(name, 1))

        read, writing = os.pipe()
        victims = [fork(write, f"victim {number}") for number in range(3)]
        os.close(writing)
        acknowledged = open(read)
        for victim in victims:
            for _ in range(50):
                acknowledged.readline()
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
        say(len(acknowledged.readlines()) + 150)
    """
    for _ in range(3):
        with running(script, path) as writers:
            acknowledged = int(writers.finish())
        store = SqliteStore(path, "run")
        done = [store.add(f"victim {number}", 0) for number in range(3)]
        assert acknowledged <= sum(done) <= acknowledged + 3
        for number in range(3):
            store.delete_key(f"victim {number}")


def test_a_write_waits_for_the_lock_of_another_process(path: str) -> None:
    backend = SqliteBackend(path, "run")
    with running(
        """
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        say("locked")
        sys.stdin.readline()
        connection.execute("ROLLBACK")
        """,
        path,
    ) as holder:
        assert holder.hear() == "locked"
        assert backend.get_state() is None, "reading waits for nobody"
        holder.tell()
        assert backend.set_state(b"state")
        holder.finish()


def test_a_lock_that_stays_is_an_error_that_names_file_and_holder(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.2)
    backend = SqliteBackend(path, "run")
    with running(
        """
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        say("locked")
        sys.stdin.readline()
        """,
        path,
    ) as holder:
        assert holder.hear() == "locked"
        with pytest.raises(RendezvousConnectionError) as raised:
            backend.set_state(b"state")
        assert path in str(raised.value)
        assert f"process {holder.pid}," in str(raised.value)
        SqliteStore(path, "run").check(["key"])
        holder.tell()
        holder.finish()
    assert backend.set_state(b"state")
