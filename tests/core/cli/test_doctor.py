"""``rdzv doctor`` and ``rdzv backends``."""

import json
import sqlite3
import time
from pathlib import Path

import pytest

from rendezvous_core import Members, RendezvousParameters, ServerFacts, Token
from rendezvous_core.cli import checkup, node_checks
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
        "versions",
        *(name for name, _, _ in checkup.CHECKS),
        "two nodes meet",
    ]
    assert all(took >= 0 for finding in report["checks"][3:] for took in finding["took"].values())
    assert report["checks"][6]["took"].keys() == {"put", "list"}
    assert "SQLite 3" in report["checks"][2]["text"]


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


def test_a_backend_out_of_reach_is_the_one_thing_found(rdzv: Rdzv) -> None:
    done = rdzv.call("doctor", "--endpoint=/proc/nowhere/rendezvous.db")
    assert done.returncode == ExitCode.UNHEALTHY
    assert done.stdout.count("\n") == 1  # what does not answer is not asked again
    assert done.stdout.startswith("fails  reach the backend")
    assert "/proc/nowhere" in done.stdout


@pytest.mark.parametrize(
    "choice", ["--backend=static", "--backend=nope", "--conf=join_timout=5", "--local-addr=a b"]
)
def test_a_wrong_choice_is_no_finding(rdzv: Rdzv, choice: str) -> None:
    done = rdzv.call("doctor", choice)
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")


def test_an_address_that_others_cannot_use_is_the_one_thing_found(rdzv: Rdzv) -> None:
    done = rdzv.call("doctor", "--local-addr=nowhere.invalid")
    assert done.returncode == ExitCode.UNHEALTHY
    assert done.stdout.count("fails ") == 1
    assert "nowhere.invalid: as --local-addr says, which this machine cannot resolve" in done.stdout
    assert "Give each node an address that all others reach" in done.stdout


@pytest.mark.parametrize(
    ("address", "hosts", "ok", "text"),
    [
        (
            "127.0.0.1",
            ["192.0.2.7"],
            False,
            "leads each machine to itself, while the backend is at 192.0.2.7",
        ),
        ("127.0.0.1", ["localhost"], True, "only nodes of this machine can use it"),
        ("192.0.2.7", ["192.0.2.8"], True, "no interface of this machine has it"),
        (None, ["localhost"], True, "the backend is on this machine only, at localhost"),
    ],
)
def test_the_address_is_judged_by_where_the_backend_is(
    address: str | None, hosts: list[str], ok: bool, text: str
) -> None:
    finding = node_checks.address_finding(address, hosts)
    assert finding.ok is ok
    assert text in str(finding.text)
    assert bool(finding.remedy) is not ok


class Telling(SqliteBackend):
    """Has a server whose clock is wrong."""

    ahead = 0.0

    def server_facts(self) -> ServerFacts:
        return ServerFacts("server 1", "client 2", time.time() + self.ahead, 0.5)


@pytest.mark.parametrize(
    ("ahead", "text"),
    [
        (0.0, "as the server's, within 0.5 s"),
        (-90.0, "90.0 s ahead of the server's, give or take 0.5 s; no decision depends on it"),
        (90.0, "90.0 s behind the server's"),
    ],
)
def test_the_clock_is_compared_for_people_only(tmp_path: Path, ahead: float, text: str) -> None:
    backend = Telling(str(tmp_path / "db"), "run")
    backend.ahead = ahead
    versions, clock = node_checks.server_findings(backend)
    backend.close()
    assert "server 1 by client 2" in str(versions.text)
    assert clock.ok
    assert text in str(clock.text).replace("500.0 ms", "0.5 s")


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
        assert remedy or name == "read the state"
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
