"""What servers refuse is told at once, when a handler is created, with what to do about it."""

import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyetcd import etcdrpc as rpc

from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousParameters,
    RendezvousStateError,
    get_rendezvous_handler,
)
from rendezvous_core.testing.suites.threads import start
from rendezvous_etcd import Etcd3Client, EtcdServer, create_backend
from tests.etcd.grpc_proxy import GrpcProxy
from tests.etcd.servers import PASSWORD, SecureServer
from tests.etcd.waiting import PATIENCE
from tests.support.tls import Certificates

ALL = pytest.mark.parametrize("backend", ["etcd-v3", "etcd-v2", "etcd"])


def create(backend: str, endpoint: str, **options: Any) -> None:
    """Refusals must not be waited out: no test has the time for that."""
    options = {"connect_timeout": 3600, "join_timeout": 3600, "read_timeout": 5, **options}
    params = RendezvousParameters(backend, endpoint, uuid.uuid4().hex, 1, 1, "localhost", **options)
    start(get_rendezvous_handler, params).result(PATIENCE).shutdown()


def certified(certificates: Certificates, name: str, kind: str) -> tuple[str, str]:
    """The paths of a certificate and of its key, which nobody overwrites."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    day = timedelta(days=1)
    last = yesterday if kind == "expired" else yesterday + 100 * day
    issued = [Path(each) for each in certificates.issue(name, not_before=yesterday - day, not_after=last)]
    certificate, key = (str(path.rename(path.with_stem(f"{path.stem}-{kind}"))) for path in issued)
    return certificate, key


class TlsServers:
    """Servers with certificates of one authority, started when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.certificates = Certificates(folder / "tls")
        self.others = Certificates(folder / "others")
        self._started: dict[str, EtcdServer] = {}

    def server(self, kind: str) -> str:
        if kind not in self._started:
            name = "other.test" if kind == "misnamed" else "127.0.0.1"
            certificate, key = certified(self.certificates, name, kind)
            asking = [f"--trusted-ca-file={self.certificates.ca_cert}", "--client-cert-auth"]
            arguments = [] if kind == "plain" else [f"--cert-file={certificate}", f"--key-file={key}"]
            server = EtcdServer(None, [*arguments, *(asking if kind == "asking" else [])])
            server.start(stderr=subprocess.DEVNULL)
            self._started[kind] = server
        return self._started[kind].get_endpoint()

    def client(self, kind: str) -> dict[str, Any]:
        """Options of a client."""
        trusting = {"ca_cert": self.certificates.ca_cert}
        if kind in ("plain", "trusting"):
            return trusting if kind == "trusting" else {}
        if kind == "trusting nobody":
            return {"protocol": "https"}
        if kind == "trusting others":
            return {"ca_cert": self.others.ca_cert}
        issuer = self.others if kind == "foreign" else self.certificates
        certificate, key = certified(issuer, "client.test", kind)
        return {**trusting, "ssl_cert": certificate, "ssl_cert_key": key}

    def stop(self) -> None:
        for server in self._started.values():
            server.stop()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServers]:
    servers = TlsServers(tmp_path_factory.mktemp("tls"))
    yield servers
    servers.stop()


@ALL
@pytest.mark.parametrize(
    ("server", "client", "advice"),
    [
        ("valid", "plain", "speaks TLS: say protocol=https"),
        ("plain", "trusting", "leave out protocol=https"),
        ("valid", "trusting nobody", "give the authority that signed it, ca_cert"),
        ("valid", "trusting others", "give the authority that signed it, ca_cert"),
        ("expired", "trusting", "has expired: renew it"),
        ("misnamed", "trusting", "is for other names"),
        ("asking", "trusting", "give ssl_cert and ssl_cert_key"),
        ("asking", "foreign", "of an authority that it trusts"),
        ("asking", "expired", "not expired"),
    ],
)
def test_tls(tls: TlsServers, backend: str, server: str, client: str, advice: str) -> None:
    with pytest.raises(RendezvousConnectionError, match=advice) as caught:
        create(backend, tls.server(server), **tls.client(client))
    assert "cannot be reached" not in str(caught.value)


@ALL
def test_a_certificate_that_is_valid(tls: TlsServers, backend: str) -> None:
    create(backend, tls.server("valid"), **tls.client("trusting"))
    create(backend, tls.server("asking"), **tls.client("own"))


@ALL
def test_files_that_are_no_certificates(tls: TlsServers, tmp_path: Path, backend: str) -> None:
    own, noise = tls.client("own"), tmp_path / "noise.pem"
    noise.write_text("noise")
    for options, name in (
        ({"ca_cert": str(noise)}, "ca_cert"),
        ({**own, "ssl_cert": str(noise)}, "ssl_cert and ssl_cert_key"),
        ({**own, "ssl_cert_key": tls.client("foreign")["ssl_cert_key"]}, "ssl_cert and ssl_cert_key"),
        ({"ssl_cert": own["ssl_cert"]}, "ssl_cert, without ssl_cert_key"),
    ):
        with pytest.raises(ValueError, match=name):
            create(backend, tls.server("asking"), **options)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
    """``reader`` may read all, but write nothing."""
    secure = SecureServer(tmp_path_factory.mktemp("secure"))
    secure.start()
    secure.enable_auth()
    for command in (
        ["user", "add", f"reader:{PASSWORD}"],
        ["role", "add", "readers"],
        ["role", "grant-permission", "readers", "--prefix=true", "read", "/"],
        ["user", "grant-role", "reader", "readers"],
    ):
        secure.etcdctl(f"--user=root:{PASSWORD}", *command)
    secure.enable_v2_auth()
    secure.add_v2_user("reader", {"read": ["/*"], "write": []})
    yield secure
    secure.stop()


LEGACY_PREFIX = {"etcd_prefix": "/rendezvous"}
READER = {"user": "reader", "password": PASSWORD}
NOBODY: dict[str, Any] = {"user": None, "password": None}


@pytest.mark.parametrize(
    ("backend", "wrong", "advice"),
    [
        ("etcd-v3", {"password": "wrong"}, "password of the user 'member'"),
        ("etcd-v3", {"user": "nobody"}, "or has no such user"),
        ("etcd-v3", NOBODY, "give the options user and password"),
        ("etcd-v3", {"key_prefix": "/else"}, "does not let the user 'member' read and write"),
        ("etcd-v3", READER, "does not let the user 'reader' read and write"),
        ("etcd-v2", {"password": "wrong"}, "the user 'member' do this: check user"),
        ("etcd-v2", {"user": "nobody"}, "the user 'nobody' do this: check user"),
        ("etcd-v2", {"key_prefix": "/else"}, "that it may read and write the keys"),
        ("etcd-v2", READER, "the user 'reader' do this"),
        ("etcd", {"etcd_prefix": "/else"}, "that it may read and write the keys"),
        ("etcd", {**READER, **LEGACY_PREFIX}, "the user 'reader' do this"),
    ],
)
def test_users(secure: SecureServer, backend: str, wrong: dict[str, Any], advice: str) -> None:
    options = {**secure.certificates, **secure.credentials, "read_timeout": 30, **wrong}
    with pytest.raises(RendezvousStateError, match=advice):
        create(backend, secure.server.get_endpoint(), **options)


def test_users_of_certificates(secure: SecureServer) -> None:
    endpoint = secure.server.get_endpoint()
    with pytest.raises(RendezvousConnectionError, match="certificates of users that it does not know"):
        create("etcd-v2", endpoint, **secure.certificates)
    with pytest.raises(RendezvousStateError, match="clients without a user"):
        create("etcd-v2", endpoint, key_prefix="/else", **secure.certificates_of_member)


def test_a_user_where_there_are_none(tls: TlsServers) -> None:
    """It is not asked for."""
    for backend in ("etcd-v3", "etcd-v2", "etcd"):
        create(backend, tls.server("plain"), user="anybody", password="any")


@pytest.mark.parametrize("size", [1_600_000, 2_200_000, 5_000_000])
@pytest.mark.parametrize("through_proxy", [False, True])
def test_a_value_that_is_too_large(tls: TlsServers, size: int, through_proxy: bool) -> None:
    """Whoever refuses it: the server, its gRPC library, or the proxy's."""
    with GrpcProxy(tls.server("plain")) as proxy:
        endpoint = proxy.endpoint if through_proxy else tls.server("plain")
        run, store = create_backend(RendezvousParameters("etcd-v3", endpoint, "run", 1, 1, read_timeout=5))
        with pytest.raises(RendezvousStateError, match="write smaller values, or raise its"):
            store.set("key", b"x" * size)
        store.set("key", b"x" * 1_000_000)
        run.close()


def test_members_that_differ(tmp_path: Path) -> None:
    with_alarm = EtcdServer(tmp_path)
    with_alarm.start(stderr=subprocess.DEVNULL)
    try:
        client = Etcd3Client(with_alarm.get_endpoint())
        raise_alarm = rpc.AlarmRequest(action=rpc.AlarmRequest.ACTIVATE, memberID=1, alarm=2)  # CORRUPT
        rpc.MaintenanceStub(client.channel()._channel).Alarm(raise_alarm)
        client.close()
        with pytest.raises(RendezvousConnectionError, match="the data of its members differ"):
            create("etcd-v3", with_alarm.get_endpoint())
    finally:
        with_alarm.stop()
