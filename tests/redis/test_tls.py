"""TLS before a server that has none of its own: what is trusted, and what is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rendezvous_core import RendezvousConnectionError, RendezvousStateError
from rendezvous_redis import RedisRun, RedisServer
from tests.redis.conftest import OpenRun
from tests.redis.using import use
from tests.support.tls import Certificates, TlsProxy


class TestTls:
    @pytest.fixture
    def certificates(self, tmp_path: Path) -> Certificates:
        return Certificates(tmp_path / "ours")

    @pytest.fixture
    def open_tls(
        self, shared_server: RedisServer, certificates: Certificates, open_run: OpenRun
    ) -> Iterator[Callable[..., RedisRun]]:
        """Open a run behind TLS whose certificate is for ``name``."""
        proxies: list[TlsProxy] = []

        def open_tls(name: str = "127.0.0.1", ask_clients: bool = False, **options: object) -> RedisRun:
            context = certificates.context(name, ask_clients=ask_clients)
            proxies.append(TlsProxy(shared_server.host, shared_server.port, context))
            return open_run(
                f"rediss://127.0.0.1:{proxies[-1].port}", connect_timeout=1.0, read_timeout=1.0, **options
            )

        yield open_tls
        for proxy in proxies:
            proxy.__exit__()

    def test_trusted(self, open_tls: Callable[..., RedisRun], certificates: Certificates) -> None:
        """With the authority's certificate the server is trusted."""
        use(open_tls(ca_cert=certificates.ca_cert))

    def test_client_certificate(self, open_tls: Callable[..., RedisRun], certificates: Certificates) -> None:
        """A server may ask for the client's certificate."""
        certificate, key = certificates.issue("client")
        given = {"ca_cert": certificates.ca_cert, "ssl_cert": certificate, "ssl_cert_key": key}
        use(open_tls(ask_clients=True, **given))
        with pytest.raises(RendezvousConnectionError):
            open_tls(ask_clients=True, ca_cert=certificates.ca_cert)

    def test_unknown_authority(self, open_tls: Callable[..., RedisRun], tmp_path: Path) -> None:
        """A certificate of somebody else's authority is refused at once; there is no way around."""
        with pytest.raises(RendezvousStateError, match="ca_cert"):
            open_tls()
        with pytest.raises(RendezvousStateError, match="ca_cert"):
            open_tls(ca_cert=Certificates(tmp_path / "theirs").ca_cert)

    def test_wrong_host(self, open_tls: Callable[..., RedisRun], certificates: Certificates) -> None:
        """A certificate for another host is refused at once."""
        with pytest.raises(RendezvousStateError, match="for another name"):
            open_tls("other.test", ca_cert=certificates.ca_cert)

    def test_mixed_up(
        self, shared_server: RedisServer, certificates: Certificates, open_run: OpenRun
    ) -> None:
        """Who speaks TLS to a server without it, or the reverse, is told so at once."""
        with pytest.raises(RendezvousStateError, match="write redis:// instead"):
            open_run(f"rediss://{shared_server.endpoint}", read_timeout=1.0)
        context = certificates.context("127.0.0.1", ask_clients=False)
        with (
            TlsProxy(shared_server.host, shared_server.port, context) as proxy,
            pytest.raises(RendezvousStateError, match="write rediss://"),
        ):
            open_run(f"redis://127.0.0.1:{proxy.port}", read_timeout=1.0)
