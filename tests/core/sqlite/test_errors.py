"""Every failure has a type, names the file, and says what to do."""

import errno
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousError,
    RendezvousParameters,
    RendezvousStateError,
)
from rendezvous_core.sqlite import SqliteBackend, SqliteStore, file, plugin
from rendezvous_core.sqlite.errors import explain
from rendezvous_core.sqlite.schema import VERSION, prepare
from tests.core.sqlite.scripts import run

UNWRITABLE = "make the file and its directory writable"
NO_SPACE = "no space left"


class TestForeign:
    @pytest.fixture
    def path(self, tmp_path: Path) -> str:
        return str(tmp_path / "foreign.db")

    def refuses(self, path: str, remedy: str) -> None:
        before = Path(path).read_bytes()
        for opening in (SqliteBackend, SqliteStore):
            with pytest.raises(RendezvousStateError, match=remedy) as raised:
                opening(path, "run")
            assert path in str(raised.value)
        assert Path(path).read_bytes() == before

    def test_no_database(self, path: str) -> None:
        Path(path).write_text("This is the diary of somebody, and it is long enough.\n" * 100)
        self.refuses(path, "is no SQLite database: choose another path")

    def test_database_of_another_application(self, path: str) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE diary (entry TEXT)")
        self.refuses(path, "of another application: choose another path")

    def test_database_of_a_newer_version(self, path: str) -> None:
        SqliteStore(path, "run")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        self.refuses(path, f"version {VERSION + 1}, this installation reads version {VERSION}: use the same")

    def test_damaged_database(self, path: str) -> None:
        SqliteStore(path, "run").set("key", b"value" * 10_000)
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
        self.refuses(path, "is damaged: end the processes that use it and delete it")

    def test_empty_file_is_taken(self, path: str) -> None:
        Path(path).touch()
        SqliteStore(path, "run").set("key", "value")


class TestUnreachable:
    @pytest.fixture
    def path(self) -> Iterator[str]:
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            yield os.path.join(directory, "rendezvous.db")
            os.chmod(directory, 0o755)

    def opening_fails(self, path: str, remedy: str) -> None:
        message = run(
            """
            if os.getuid() == 0:
                os.setuid(65534)  # root may write everywhere
            try:
                SqliteStore(path, "run").set("key", "value")
            except RendezvousConnectionError as error:
                say(error)
            """,
            path,
        )
        assert path in message
        assert remedy in message

    def test_read_only_file(self, path: str) -> None:
        SqliteStore(path, "run")
        os.chmod(path, 0o444)
        self.opening_fails(path, UNWRITABLE)

    def test_read_only_directory_without_the_file(self, path: str) -> None:
        os.chmod(os.path.dirname(path), 0o555)
        self.opening_fails(path, UNWRITABLE)

    def test_read_only_directory_with_the_file(self, path: str) -> None:
        SqliteStore(path, "run")
        os.chmod(path, 0o666)
        os.chmod(os.path.dirname(path), 0o555)
        self.opening_fails(path, UNWRITABLE)

    def test_directory_that_cannot_be_made(self, path: str) -> None:
        Path(path).touch()
        with pytest.raises(RendezvousConnectionError, match="choose another path"):
            SqliteStore(os.path.join(path, "rendezvous.db"), "run")

    @pytest.mark.parametrize("path", ["/", "/dev/null"])
    def test_no_file(self, path: str) -> None:
        with pytest.raises(RendezvousConnectionError, match=f"{path} is a directory or device: name a file"):
            SqliteStore(path, "run")


class TestNoSpace:
    def test_full(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def prepare_a_small_one(connection: sqlite3.Connection, path: str) -> None:
            prepare(connection, path)
            connection.execute("PRAGMA max_page_count = 20")

        with monkeypatch.context() as patch:
            patch.setattr(file, "prepare", prepare_a_small_one)
            store = SqliteStore(path, "run")
            store.set("key", "value")
            with pytest.raises(RendezvousConnectionError, match=NO_SPACE) as raised:
                store.set("key", b"x" * 200_000)
            assert path in str(raised.value)
            assert isinstance(raised.value.__cause__, sqlite3.Error)
            assert store.get("key") == b"value"
        del raised, store
        store = SqliteStore(path, "run")
        store.set("key", b"x" * 200_000)
        assert store.get("key") == b"x" * 200_000

    def test_limit_of_the_process(self, path: str) -> None:
        message = run(
            """
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
            store = SqliteStore(path, "run")
            store.set("key", "value")
            try:
                store.set("key", b"x" * 200_000)
            except RendezvousConnectionError as error:
                say(error)
            assert store.get("key") == b"value"
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            store.set("key", b"x" * 200_000)
            """,
            path,
        )
        assert path in message
        assert NO_SPACE in message


class TestNetworkFileSystem:
    def test_without_shared_memory(self, path: str) -> None:
        with (
            closing(sqlite3.connect(":memory:")) as connection,
            pytest.raises(RendezvousConnectionError, match=f"{path}.*network file systems.*local"),
        ):
            prepare(connection, path)

    @pytest.mark.parametrize("name", ["SQLITE_IOERR_LOCK", "SQLITE_IOERR_SHMMAP", "SQLITE_PROTOCOL"])
    def test_whose_locks_fail(self, name: str, path: str) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname, error.sqlite_errorcode = name, getattr(sqlite3, name)
        self.is_explained(error, path)

    def test_whose_directories_cannot_be_locked(self, path: str) -> None:
        self.is_explained(OSError(errno.EBADF, "Bad file descriptor"), path)

    def is_explained(self, error: sqlite3.Error | OSError, path: str) -> None:
        explained: RendezvousError = explain(error, path)
        assert isinstance(explained, RendezvousConnectionError)
        assert path in str(explained)
        assert "network file systems" in str(explained)


class TestInput:
    @pytest.mark.parametrize("endpoint", ["localhost:29400", "localhost:", "10.0.0.1:0", "a/file\0"])
    def test_what_is_no_path(self, endpoint: str) -> None:
        params = RendezvousParameters("sqlite", endpoint, "run", 1, 1)
        with pytest.raises(ValueError, match=re.escape(f"{endpoint!r}: leave it empty")):
            plugin.rendezvous_backend(params)

    def test_nothing_to_tell_runs_apart(self, path: str) -> None:
        with pytest.raises(ValueError, match="run id"):
            SqliteBackend(path, "")
        with pytest.raises(ValueError, match="namespace"):
            SqliteStore(path, "")

    def test_a_closed_backend(self, path: str) -> None:
        backend = SqliteBackend(path, "run")
        backend.close()
        backend.close()
        with pytest.raises(RendezvousConnectionError, match=f"{path} was closed"):
            backend.get_state()
