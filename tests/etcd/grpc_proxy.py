"""etcd's own gRPC proxy, as a server of a test."""

import socket
import subprocess
from collections.abc import Sequence

from rendezvous_core.ports.serving import free_port
from rendezvous_etcd.server import find_binary
from tests.etcd.waiting import until


class GrpcProxy:
    """Stands in front of the cluster at ``endpoint``; it answers once it is started."""

    def __init__(self, endpoint: str, arguments: Sequence[str] = ()) -> None:
        self.host, self.port = "127.0.0.1", free_port()
        self._command = [
            find_binary(),
            "grpc-proxy",
            "start",
            f"--endpoints={endpoint}",
            f"--listen-addr={self.host}:{self.port}",
            *arguments,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL, start_new_session=True)
        until(self._listens)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "GrpcProxy":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.host, self.port)).close()
        except OSError:
            return False
        return True
