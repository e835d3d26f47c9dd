"""``rdzv doctor`` and ``rdzv backends``."""

import json
import sqlite3
from pathlib import Path

import pytest

from rendezvous_core import Members, RendezvousParameters, Token
from rendezvous_core.cli import checkup
from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.sqlite import SqliteBackend
from tests.core.cli.conftest import Rdzv


def test_a_healthy_backend_is_found_healthy(rdzv: Rdzv) -> None:
    done = rdzv.call("doctor", "--json")
    assert done.returncode == ExitCode.OK, done.stdout
    report = json.loads(done.stdout)
    assert report["healthy"] is True
    assert [finding["check"] for finding in report["checks"]] == [
        "reach the backend",
        "address for others",
        *(name for name, _, _ in checkup.CHECKS),
        "two nodes meet",
    ]
    assert all(finding["seconds"] >= 0 for finding in report["checks"][2:])


def test_the_doctor_leaves_nothing_but_closed_runs(rdzv: Rdzv) -> None:
    shown = rdzv.call("doctor").stdout
    assert "two nodes meet" in shown
    assert " ms" in shown
    with sqlite3.connect(rdzv.endpoint) as database:
        runs = [name for (name,) in database.execute("SELECT name FROM runs")]
        left = database.execute("SELECT count(*) FROM members").fetchone()[0]
        keys = database.execute("SELECT count(*) FROM entries").fetchone()[0]
    database.close()
    assert (left, keys) == (0, 0)
    for run in runs:
        assert json.loads(rdzv.call("status", "--json", f"--run-id={run}").stdout)["phase"] == "closed"


def test_a_backend_out_of_reach_is_said_with_what_to_do(rdzv: Rdzv) -> None:
    done = rdzv.call("doctor", "--endpoint=/proc/nowhere/rendezvous.db")
    assert done.returncode == ExitCode.UNHEALTHY
    assert "fails" in done.stdout
    assert "/proc/nowhere" in done.stdout
    assert "is the endpoint right" in done.stdout


class Forgetful(SqliteBackend):
    """Ignores the token: the last writer wins."""

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        found = self.get_state()
        return super().set_state(state, found[1] if found else None)


class Deaf(SqliteBackend):
    """Wakes nobody."""

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        return False


class Blind(SqliteBackend):
    """Lists nobody."""

    def members(self) -> Members:
        return Members({}, super().members().token)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (Forgetful, "compare-and-set, fenced"),
        (Deaf, "notification"),
        (Blind, "members"),
    ],
)
def test_a_broken_promise_is_found(
    kind: type[SqliteBackend], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "_PATIENCE", 0.5)
    monkeypatch.setattr(checkup, "create_backend", lambda params: kind(params.endpoint, params.run_id))
    patient = checkup.Patient(RendezvousParameters("sqlite", str(tmp_path / "db"), "scratch", 1, 1))
    failing = []
    for name, check, remedy in checkup.CHECKS:
        assert remedy
        try:
            check(patient)
        except checkup.Broken:
            failing.append(name)
    patient.close()
    assert failing == [found] or (found in failing and kind is Deaf)


def test_backends_are_listed_with_their_distributions(rdzv: Rdzv) -> None:
    listed = json.loads(rdzv.call("backends", "--json").stdout)
    installed = {backend["name"]: backend["distribution"] for backend in listed["installed"]}
    assert installed["sqlite"] == installed["static"] == "rendezvous-core"
    assert not installed.keys() & listed["missing"].keys()
    assert {"redis", "etcd-v3", "c10d"} <= installed.keys() | listed["missing"].keys()
    for name, remedy in listed["missing"].items():
        assert f"not installed: {remedy}" in rdzv.call("backends").stdout, name
