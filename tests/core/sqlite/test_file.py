"""The file: private, where one expects it, and followed when another takes its place."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from rendezvous_core import RendezvousConnectionError, Token
from rendezvous_core.sqlite import SqliteBackend, SqliteStore, default_path
from tests.core.sqlite.scripts import running


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def write(backend: SqliteBackend, state: bytes) -> Token:
    current = backend.get_state()
    outcome = backend.set_state(state, current[1] if current else None)
    assert outcome
    assert outcome[2]
    return outcome[1]


def test_only_its_user_can_read_what_is_made(path: str) -> None:
    former = os.umask(0)
    try:
        backend = SqliteBackend(path, "run")
        write(backend, b"state")
    finally:
        os.umask(former)
    assert mode(os.path.dirname(path)) == 0o700
    assert [mode(path + suffix) for suffix in ("", "-wal", "-shm")] == [0o600] * 3


def test_a_directory_that_was_there_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    SqliteBackend(str(tmp_path / "rendezvous.db"), "run")
    assert mode(tmp_path) == 0o755


def test_names_that_urls_and_sqlite_would_read_otherwise(tmp_path: Path) -> None:
    name = str(tmp_path / "a?mode=memory#b%20c \N{SNOWMAN}.db")
    SqliteStore(name, "run").set("key", "value")
    assert os.path.isfile(name)
    assert SqliteStore(name, "run").get("key") == b"value"


def test_a_link_leads_to_the_same_database(path: str, tmp_path: Path) -> None:
    store = SqliteStore(path, "run")
    store.set("key", "value")
    (tmp_path / "link").symlink_to(path)
    assert SqliteStore(str(tmp_path / "link"), "run").get("key") == b"value"


class TestDefaultPath:
    @pytest.fixture(autouse=True)
    def _environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("RDZV_SQLITE_PATH", raising=False)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        (tmp_path / "temporary").mkdir()

    def test_is_in_the_runtime_directory_of_the_user(self, tmp_path: Path) -> None:
        assert default_path() == str(tmp_path / "rendezvous" / "rendezvous.db")
        assert mode(tmp_path / "rendezvous") == 0o700

    @pytest.mark.parametrize("runtime", ["", "relative", "/proc/nowhere"])
    def test_is_in_a_directory_of_the_user_for_temporary_files_otherwise(
        self, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        directory = tmp_path / "temporary" / f"rendezvous-{os.getuid()}"
        assert default_path() == str(directory / "rendezvous.db")
        assert mode(directory) == 0o700

    def test_can_be_given_by_the_environment(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RDZV_SQLITE_PATH", path)
        assert default_path() == path
        SqliteStore("", "run").set("key", "value")
        assert SqliteStore(path, "run").get("key") == b"value"

    def test_is_what_an_empty_path_means(self) -> None:
        backend = SqliteBackend("", "run")
        assert backend.path == default_path()
        SqliteStore("", "run").set("key", "value")
        assert SqliteStore(backend.path, "run").get("key") == b"value"

    def test_that_cannot_be_made_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        (tmp_path / "file").touch()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
        with pytest.raises(RendezvousConnectionError, match=f"{tmp_path}/file/rendezvous.*RDZV_SQLITE_PATH"):
            default_path()

    def plant_link(self, directory: Path) -> None:
        (directory.parent / "elsewhere").mkdir(mode=0o700)
        directory.symlink_to(directory.parent / "elsewhere")

    def plant_dangling_link(self, directory: Path) -> None:
        directory.symlink_to(directory.parent / "nowhere")

    def plant_file(self, directory: Path) -> None:
        directory.touch(mode=0o700)

    def open_to_others(self, directory: Path) -> None:
        directory.mkdir()
        directory.chmod(0o750)

    def open_the_parent_to_others(self, directory: Path) -> None:
        directory.mkdir(mode=0o700)
        directory.parent.chmod(0o777)

    @pytest.mark.parametrize(
        "attack", [plant_link, plant_dangling_link, plant_file, open_to_others, open_the_parent_to_others]
    )
    def test_is_refused_where_others_could_have_a_hand_in_it(
        self, attack: Callable[["TestDefaultPath", Path], None], tmp_path: Path
    ) -> None:
        attack(self, tmp_path / "rendezvous")
        with pytest.raises(RendezvousConnectionError, match=f"{tmp_path}/rendezvous.*RDZV_SQLITE_PATH"):
            SqliteBackend("", "run")

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
    def test_is_refused_in_a_directory_of_somebody_else(self, tmp_path: Path) -> None:
        (tmp_path / "rendezvous").mkdir(mode=0o700)
        os.chown(tmp_path / "rendezvous", 65534, 65534)
        with pytest.raises(RendezvousConnectionError, match="another user"):
            default_path()

    def test_is_checked_again_when_the_file_was_lost(self, tmp_path: Path) -> None:
        store = SqliteStore("", "run")
        shutil.rmtree(tmp_path / "rendezvous")
        self.plant_link(tmp_path / "rendezvous")
        with pytest.raises(RendezvousConnectionError, match="is a link"):
            store.set("key", "value")
        assert os.listdir(tmp_path / "elsewhere") == []


class TestLoss:
    def test_a_deleted_file_is_a_lost_state(self, path: str) -> None:
        backend = SqliteBackend(path, "run")
        lost = write(backend, b"lost")
        backend.put_member("node", b"record", announce=True)
        heard = backend.members()
        os.unlink(path)
        assert backend.set_state(b"next", lost) is None
        assert backend.get_state() is None
        assert backend.members().records == {}
        assert backend.members().token != heard.token
        assert write(backend, b"lost") != lost

    def test_processes_meet_again_in_the_new_file(self, path: str, tmp_path: Path) -> None:
        store = SqliteStore(path, "run", 60)
        with running(
            """
            store = SqliteStore(path, "run", 60)
            for line in sys.stdin:
                store.set("theirs", line)
                store.get("ours")
                say("met")
            """,
            path,
        ) as other:
            for number in range(100):
                store.list_keys()
                shutil.rmtree(os.path.dirname(path))
                # The numbers of inodes that were freed are given again, but seldom in the same order.
                (tmp_path / f"new {number % 7}").touch()
                (tmp_path / f"new {(number + 3) % 7}").unlink(missing_ok=True)
                other.tell(str(number))
                assert store.get("theirs") == f"{number}\n".encode()
                store.set("ours", "value")
                assert other.hear() == "met"

    def test_an_older_copy_is_an_older_state_whose_successors_are_new(self, path: str) -> None:
        backend = SqliteBackend(path, "run")
        older = write(backend, b"older")
        del backend
        shutil.copy(path, path + ".copy")
        backend = SqliteBackend(path, "run")
        newer = write(backend, b"newer")
        os.rename(path + ".copy", path)
        assert backend.set_state(b"next", newer) == (b"older", older, False)
        assert backend.get_state() == (b"older", older)
        assert write(backend, b"newer") not in {older, newer}

    def test_no_call_fails_while_the_file_is_deleted_over_and_over(self, path: str) -> None:
        with running(
            """
            def work():
                try:
                    backend, store = SqliteBackend(path, "run"), SqliteStore(path, "run")
                    while True:
                        current = backend.get_state()
                        outcome = backend.set_state(b"state", current[1] if current else None)
                        backend.put_member(str(os.getpid()), b"record" * 100, announce=True)
                        backend.members()
                        backend.wait_for_change(outcome[1] if outcome else None, 0.001)
                        store.add("sum", 1)
                        say("well")
                except RendezvousError as error:
                    say(error)

            join([fork(work) for _ in range(3)])
            """,
            path,
        ) as workers:
            for number in range(60):
                for _ in range(7):
                    assert workers.hear() == "well"
                if number % 2:
                    shutil.rmtree(os.path.dirname(path), ignore_errors=True)
                elif os.path.exists(path):
                    os.unlink(path)
