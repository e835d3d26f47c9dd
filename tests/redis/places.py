"""The kinds of places where a run can be kept."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rendezvous_core.testing import Server
from rendezvous_redis import RedisOptions, RedisServer
from tests.redis.groups import Cluster, Sentinels
from tests.redis.servers import server_of
from tests.support.tls import Certificates, TlsProxy

PASSWORD = "p@ss/word: 100%"
BRISK = 1.5
"""A ``read_timeout`` for tests in which the server is away for long."""


@dataclass
class Place:
    """Where servers are, and what to give to reach them."""

    server: Server | None
    form: str
    """The endpoint, with ``{}`` for the address of a server that a proxy can stand before."""
    options: RedisOptions
    address: tuple[str, int] = ("", 0)

    @property
    def endpoint(self) -> str:
        return self.form.format("{}:{}".format(*self.address))


@contextmanager
def open_place(name: str, folder: Path) -> Iterator[Place]:
    """Start the servers of the place ``name`` and stop them afterwards.

    That is a single server, by its name for `server_of`; ``tls``, with password and client
    certificates; ``cluster``; or ``sentinel``.
    """
    with ExitStack() as stack:
        if name == "sentinel":
            group = Sentinels(server_of("valkey"), folder)
            stack.callback(group.stop)
            yield Place(None, group.endpoint, RedisOptions())
        elif name == "cluster":
            cluster = Cluster(server_of("valkey"), folder)
            stack.callback(cluster.stop)
            yield Place(cluster, cluster.endpoint, RedisOptions(read_timeout=BRISK))
        elif name == "tls":
            server = stack.enter_context(
                RedisServer(binary=server_of("valkey"), data_dir=folder, password=PASSWORD)
            )
            certificates = Certificates(folder / "tls")
            context = certificates.context("127.0.0.1", ask_clients=True)
            proxy = stack.enter_context(TlsProxy(server.host, server.port, context))
            certificate, key = certificates.issue("client")
            options = RedisOptions(
                read_timeout=BRISK,
                password=PASSWORD,
                ca_cert=certificates.ca_cert,
                ssl_cert=certificate,
                ssl_cert_key=key,
            )
            yield Place(server, "rediss://{}", options, (proxy.host, proxy.port))
        else:
            server = stack.enter_context(RedisServer(binary=server_of(name), data_dir=folder))
            yield Place(server, "{}", RedisOptions(read_timeout=BRISK), (server.host, server.port))
