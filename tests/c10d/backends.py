"""The backends that the agents of these tests meet over, each with a real server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rendezvous_core.ports.serving import free_port
from tests.c10d.servers import TcpStoreServer
from tests.support.missing import need


class Backend(NamedTuple):
    """What torchrun is told."""

    name: str
    endpoint: str
    conf: dict[str, Any]


@contextmanager
def sqlite(folder: Path) -> Iterator[Backend]:
    yield Backend("sqlite", str(folder / "run.db"), {})


@contextmanager
def c10d(folder: Path) -> Iterator[Backend]:
    """Hosted by no agent, so that all of them may die."""
    server = TcpStoreServer()
    yield Backend("rendezvous", server.endpoint, {"use_backend": "c10d", "is_host": False})
    server.stop()


@contextmanager
def hosted_c10d(folder: Path) -> Iterator[Backend]:
    """Hosted by the first agent, as users have it."""
    yield Backend("rendezvous", _of_the_first(), {"use_backend": "c10d"})


@contextmanager
def torch_c10d(folder: Path) -> Iterator[Backend]:
    """torch's own."""
    server = TcpStoreServer()
    yield Backend("c10d", server.endpoint, {"is_host": False})
    server.stop()


@contextmanager
def hosted_torch_c10d(folder: Path) -> Iterator[Backend]:
    """torch's own, hosted by the first agent."""
    yield Backend("c10d", _of_the_first(), {})


def _of_the_first() -> str:
    return f"127.0.0.2:{free_port('')}"


@contextmanager
def redis(folder: Path) -> Iterator[Backend]:
    RedisServer = need("rendezvous_redis").RedisServer  # noqa: N806
    with RedisServer() as server:
        yield Backend("redis", server.endpoint, {})


@contextmanager
def etcd(folder: Path) -> Iterator[Backend]:
    EtcdServer = need("rendezvous_etcd").EtcdServer  # noqa: N806
    server = EtcdServer(str(folder / "etcd"))
    server.start()
    yield Backend("etcd-v3", server.get_endpoint(), {})
    server.stop()
