"""Where contenders meet: a server on a free port of the loopback interface, or one that is there already."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.limits import taking_turns
from benchmarks.meters import etcd_counters

_TCP_STORE = """
import sys
from torch.distributed import TCPStore
store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
print(store.port, flush=True)
sys.stdin.read()
"""


@contextmanager
def _sqlite() -> Iterator[str]:
    # Nodes that are killed may make the file again.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield str(Path(folder) / "rendezvous.db")


@contextmanager
def _redis() -> Iterator[str]:
    from rendezvous_redis import RedisServer

    # Two connections a node, of ten thousand nodes; it takes as many as its open files allow.
    with RedisServer(config=["maxclients 50000"]) as server:
        yield server.endpoint


@contextmanager
def _etcd() -> Iterator[str]:
    from rendezvous_etcd import EtcdServer

    server = EtcdServer()
    with taking_turns():  # its many threads would take what they hand on to each other from the nodes
        server.start(stderr=subprocess.DEVNULL)
    try:
        yield server.get_endpoint()
    finally:
        server.stop()


@contextmanager
def _tcp_store() -> Iterator[str]:
    command = [sys.executable, "-c", _TCP_STORE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "etcd": _etcd,
    "tcpstore": _tcp_store,
}
"""By name, what starts a server and yields its endpoint."""


def requests_of(server: str, endpoint: str) -> int | None:
    """How many requests a server says it was sent; ``None`` where it does not count as clients do.

    Redis counts the commands within scripts too, and a TCPStore counts nothing.
    """
    if server != "etcd":
        return None
    return int(etcd_counters(endpoint)("grpc_server_msg_received_total|etcd_http_received_total"))
