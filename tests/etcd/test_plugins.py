"""Each of the three names is found, costs nothing to the others, and fails well."""

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from rendezvous_core import RendezvousConnectionError, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.registry import create_backend
from rendezvous_core.testing import PluginSuite
from rendezvous_etcd import EtcdServer, create_rdzv_handler, server
from rendezvous_etcd.legacy import handler as legacy

OPTIONS: dict[str, Any] = {"read_timeout": 3}
BAD_OPTIONS = {
    "read_timeout": "0",
    "protocol": "ftp",
    "ca_cert": "/nowhere/ca.pem",
    "ssl_cert": "/nowhere/cert.pem",
    "ssl_cert_key": "/nowhere/key.pem",
    "user": "nobody",
    "password": "none",
}


class EtcdPlugin(PluginSuite):
    distribution = "rendezvous-etcd"
    options: ClassVar = OPTIONS
    bad_options: ClassVar = {**PluginSuite.bad_options, **BAD_OPTIONS, "ttl": 1, "member_ttl": 0}
    bad_endpoints: ClassVar = (*PluginSuite.bad_endpoints, "h1:1,,h2:2", "http://h1:2379")

    @pytest.fixture
    def endpoint(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        server = EtcdServer()
        server.start(stderr=subprocess.DEVNULL)
        yield server.get_endpoint()
        server.stop()

    @pytest.fixture
    def secret_parameters(self, unreachable_endpoint: str) -> Callable[[str], RendezvousParameters]:
        return lambda secret: RendezvousParameters(
            self.backend, unreachable_endpoint, "run", 1, 1, user="me", password=secret, **OPTIONS
        )


class TestEtcdV3(EtcdPlugin):
    backend = "etcd-v3"
    clients: ClassVar = {"pyetcd", "grpc", "asyncio"}


class TestEtcdV2(EtcdPlugin):
    backend = "etcd-v2"
    clients: ClassVar = {"etcd"}


class TestEtcd(EtcdPlugin):
    backend = "etcd"
    clients: ClassVar = {"etcd"}
    bad_options: ClassVar = {**BAD_OPTIONS, "timeout": "soon", "last_call_timeout": -1}
    bad_endpoints: ClassVar = EtcdPlugin.bad_endpoints


def test_torchrun_finds_etcd_v3_and_loads_nothing_for_it() -> None:
    """torch loads all entry points of this group whenever it is imported."""
    script = """
import sys
from importlib.metadata import entry_points
(found,) = entry_points(group="torchrun.handlers", name="etcd-v3")
assert callable(found.load()())
assert not {"etcd", "grpc", "pyetcd", "rendezvous_etcd", "torch"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_legacy_handler_says_once_that_it_is_superseded(caplog: pytest.LogCaptureFixture) -> None:
    legacy._warn.cache_clear()
    server = EtcdServer()
    server.start(stderr=subprocess.DEVNULL)
    try:
        with caplog.at_level(logging.WARNING, "rendezvous_etcd"):
            for run_id in ("one", "two"):
                params = RendezvousParameters("etcd", server.get_endpoint(), run_id, 1, 1)
                create_rdzv_handler(params).shutdown()
    finally:
        server.stop()
    (message,) = caplog.messages
    assert "superseded: use the backend 'etcd-v3'" in message


@pytest.mark.parametrize("backend", ["etcd-v2", "etcd-v3"])
def test_the_server_tells_its_version_and_its_time(backend: str) -> None:
    told = EtcdServer()
    told.start(stderr=subprocess.DEVNULL)
    try:
        opened = create_backend(RendezvousParameters(backend, told.get_endpoint(), "run", 1, 1))
        facts = opened.server_facts()
        opened.close()
    finally:
        told.stop()
    assert facts is not None
    assert facts.server.startswith("etcd 3.")
    assert facts.clock is not None
    assert abs(facts.clock - time.time()) < 60


@pytest.mark.parametrize("backend", ["etcd-v2", "etcd-v3"])
def test_a_server_without_tls_is_told_apart(backend: str) -> None:
    plain = EtcdServer()
    plain.start(stderr=subprocess.DEVNULL)
    try:
        params = RendezvousParameters(
            backend, plain.get_endpoint(), "run", 1, 1, protocol="https", read_timeout=1
        )
        with pytest.raises(RendezvousConnectionError, match="leave out protocol=https"):
            get_rendezvous_handler(params)
    finally:
        plain.stop()


@pytest.mark.parametrize("backend", ["etcd", "etcd-v2"])
def test_a_server_without_v2_is_told_apart(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "has_v2", lambda binary: False)
    modern = EtcdServer()
    modern.start(stderr=subprocess.DEVNULL)
    try:
        params = RendezvousParameters(backend, modern.get_endpoint(), "run", 1, 1)
        with pytest.raises(RendezvousConnectionError, match="has no v2 API: use the backend etcd-v3"):
            get_rendezvous_handler(params)
        with pytest.raises(Exception, match=r"has no v2 API: use rendezvous_etcd\.Etcd3Client"):
            modern.get_client()
    finally:
        modern.stop()


def test_what_is_no_etcd_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        params = RendezvousParameters(
            "etcd-v3", f"127.0.0.1:{silent.getsockname()[1]}", "run", 1, 1, connect_timeout=1, read_timeout=1
        )
        with pytest.raises(RendezvousConnectionError, match="cannot be reached within 1 s"):
            get_rendezvous_handler(params)


@pytest.mark.parametrize("backend", ["etcd-v3", "etcd-v2", "etcd"])
def test_an_ipv6_endpoint(backend: str) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
            endpoint = f"[::1]:{free.getsockname()[1]}"
    except OSError as error:
        pytest.skip(f"there is no IPv6 here: {error}")
    url = f"http://{endpoint}"
    local = EtcdServer(arguments=[f"--listen-client-urls={url}", f"--advertise-client-urls={url}"])
    local.start(stderr=subprocess.DEVNULL)
    try:
        handler = get_rendezvous_handler(RendezvousParameters(backend, endpoint, "run", 1, 1, "localhost"))
        assert handler.next_rendezvous().world_size == 1
        handler.shutdown()
    finally:
        local.stop()
