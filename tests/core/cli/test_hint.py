"""What is said of where a run is can be typed, whole but for secrets, wherever it differs by environment."""

import os
from pathlib import Path

import pytest

from rendezvous_core.cli.hint import watch_command
from rendezvous_core.cli.options import Target
from tests.core.cli.conftest import Rdzv


def hint(backend: str, endpoint: str, conf: str = "") -> str:
    target = Target(backend, endpoint, "run", conf)
    return watch_command(target, target.params())


def test_the_default_needs_no_more_than_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RDZV_SQLITE_PATH", raising=False)
    assert hint("sqlite", "", "join_timeout=5") == "rdzv watch --run-id run"


def test_a_path_of_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDZV_SQLITE_PATH", "/tmp/a b.db")
    assert hint("sqlite", "") == "rdzv watch --run-id run --endpoint '/tmp/a b.db'"


@pytest.mark.parametrize(
    ("endpoint", "conf", "expected"),
    [
        ("host", "", "rdzv watch --run-id run --backend redis --endpoint host"),
        (
            "host",
            "key_prefix=jobs,join_timeout=5,db=2",
            "rdzv watch --run-id run --backend redis --endpoint host --conf key_prefix=jobs,db=2",
        ),
        (
            "redis://me:hunter2@host",
            "",
            "RDZV_ENDPOINT='redis://me:***@host' rdzv watch --run-id run --backend redis",
        ),
        (
            "host",
            "user=me,password=hunter2",
            "RDZV_CONF='user=me,password=***' rdzv watch --run-id run --backend redis --endpoint host",
        ),
    ],
)
def test_secrets_go_by_the_environment(endpoint: str, conf: str, expected: str) -> None:
    pytest.importorskip("rendezvous_redis")
    assert hint("redis", endpoint, conf) == expected


def test_secrets_of_the_environment_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rendezvous_redis")
    monkeypatch.setenv("RENDEZVOUS_REDIS_USER", "me")
    monkeypatch.setenv("RENDEZVOUS_REDIS_PASSWORD", "hunter2")
    command = "rdzv watch --run-id run --backend redis --endpoint host"
    assert hint("redis", "host") == (f"RENDEZVOUS_REDIS_USER=me RENDEZVOUS_REDIS_PASSWORD=*** {command}")
    assert hint("redis", "host", "user=you,password=other").startswith("RDZV_CONF=")


@pytest.mark.parametrize(
    ("runtime", "told"),
    [
        ("here", "{folder}/rendezvous/rendezvous.db (by XDG_RUNTIME_DIR)"),
        ("", "rendezvous.db (as XDG_RUNTIME_DIR names no directory of this user)"),
    ],
)
def test_an_error_tells_which_variable_leads_to_the_file(
    rdzv: Rdzv, tmp_path: Path, runtime: str, told: str
) -> None:
    folder = tmp_path / "runtime"
    folder.mkdir()
    done = rdzv.call(
        "status",
        RDZV_ENDPOINT="",
        RDZV_SQLITE_PATH="",
        XDG_RUNTIME_DIR=str(folder) if runtime else "",
        TMPDIR=str(folder),
    )
    assert told.format(folder=os.path.realpath(folder)) in done.stderr
