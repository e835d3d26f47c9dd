"""The example of the README: two machines, each with one node of the same run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rendezvous_redis import RedisServer

PASSWORD = "s3cret"
NODE = """
import os
from rendezvous_core import store_from_env

rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
store = store_from_env()
store.set(f"rank/{rank}", b"here")
store.wait([f"rank/{other}" for other in range(size)], 60)
print(f"{rank} of {size} at {os.environ['MASTER_ADDR']}", flush=True)
store.barrier("end", size, 60)
"""


def rdzv(server: RedisServer, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "rendezvous_core.cli", *arguments],
        env={
            **os.environ,
            "RDZV_BACKEND": "redis",
            "RDZV_ENDPOINT": server.endpoint,
            "RENDEZVOUS_REDIS_PASSWORD": PASSWORD,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def server(binary: Path) -> RedisServer:
    return RedisServer(binary=binary, password=PASSWORD)


def test_two_machines(server: RedisServer, run_id: str) -> None:
    """Two commands meet, share a store, and the run ends with them."""
    arguments = ("run", "--run-id", run_id, "--nodes", "2", "--local-addr", "127.0.0.1", "--")
    with server:
        nodes = [rdzv(server, *arguments, sys.executable, "-c", NODE) for _ in range(2)]
        ended = [node.communicate(timeout=120) for node in nodes]
        assert [node.returncode for node in nodes] == [0, 0], ended
        assert sorted(line for out, _ in ended for line in out.splitlines() if " of " in line) == [
            "0 of 2 at 127.0.0.1",
            "1 of 2 at 127.0.0.1",
        ]
        assert PASSWORD not in repr(ended)
        status = rdzv(server, "status", "--json", "--run-id", run_id)
        assert '"closed"' in status.communicate(timeout=60)[0]


def test_doctor(server: RedisServer) -> None:
    """The server is examined without taking part in a run."""
    with server:
        doctor = rdzv(server, "doctor")
        out, err = doctor.communicate(timeout=120)
        assert doctor.returncode == 0, out + err
        assert PASSWORD not in out + err


def test_the_scheme_of_an_endpoint_names_the_backend(
    server: RedisServer, run_id: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without ``--backend``, which would be sqlite and its endpoint the name of a directory."""
    monkeypatch.chdir(tmp_path)
    with server:
        endpoint = server.endpoint if "://" in server.endpoint else f"redis://{server.endpoint}"
        status = rdzv(server, "status", "--backend", "", "--endpoint", endpoint, "--run-id", run_id)
        assert "on the backend 'redis'" in status.communicate(timeout=60)[1]
    assert not list(tmp_path.iterdir())


def test_the_doctor_knows_the_server(server: RedisServer) -> None:
    with server:
        report, errors = rdzv(server, "doctor", "--json").communicate(timeout=60)
    checks = {check["check"]: check for check in json.loads(report)["checks"]}
    assert all(check["ok"] for check in checks.values()), (report, errors)
    assert re.search(r"(redis|valkey) [0-9.]+ by redis-py [0-9]", checks["versions"]["text"])
    assert abs(checks["clock"]["offset"]) < 60
    assert PASSWORD not in report + errors
