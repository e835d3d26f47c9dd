"""One ZooKeeper for all tests, and a proxy in front of it for those that break connections."""

import os
from collections.abc import Iterator

import pytest
from zookeeper_server import ADVICE, ZookeeperServer, classpath

from rendezvous_core.testing import Proxy, Server


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZookeeperServer | None]:
    """A server that these tests may stop, unless ``ZOOKEEPER_ENDPOINT`` names another."""
    if "ZOOKEEPER_ENDPOINT" in os.environ:
        yield None
        return
    classes = classpath()
    if classes is None:
        if "CI" in os.environ:  # everything has to be there
            pytest.fail(ADVICE)
        pytest.skip(ADVICE)
    server = ZookeeperServer(classes, tmp_path_factory.mktemp("zookeeper"))
    yield server
    server.stop()


@pytest.fixture
def zookeeper_link(local_server: ZookeeperServer | None) -> Iterator[Proxy]:
    if local_server is None:
        host, _, port = os.environ["ZOOKEEPER_ENDPOINT"].rpartition(":")
    else:
        host, port = "127.0.0.1", str(local_server.port)
    with Proxy(host, int(port)) as proxy:
        yield proxy


class Restarted:
    """A server to which clients are let only when it is ready."""

    def __init__(self, server: ZookeeperServer, link: Proxy) -> None:
        self._server, self._link = server, link

    def stop(self) -> None:
        self._link.stop()
        self._server.stop()

    def start(self) -> None:
        self._server.start()
        self._link.start()


@pytest.fixture
def zookeeper_server(local_server: ZookeeperServer | None, zookeeper_link: Proxy) -> Server:
    """Somebody else's server is not stopped: it only seems to be."""
    return Restarted(local_server, zookeeper_link) if local_server else zookeeper_link
