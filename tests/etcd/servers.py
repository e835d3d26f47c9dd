"""Servers for tests: one, one with TLS and authentication, and a cluster of three."""

import json
import os
import re
import signal
import ssl
import subprocess
import threading
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rendezvous_core.ports.serving import free_port
from rendezvous_core.testing import Proxy
from rendezvous_etcd import EtcdServer
from rendezvous_etcd.server import find_binary
from tests.etcd.waiting import until
from tests.support.suspending import suspend
from tests.support.tls import Certificates

PASSWORD = "open sesame"


@contextmanager
def served(*arguments: str, data_dir: Path | None = None) -> Iterator[EtcdServer]:
    """A server."""
    server = EtcdServer(data_dir, arguments)
    server.start(stderr=subprocess.DEVNULL)
    try:
        yield server
    finally:
        server.stop()


class OnServer:
    """For suites: clients reach one server, which the tests of a class share, through a proxy."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
        with served(data_dir=tmp_path_factory.mktemp("etcd")) as server:
            yield server

    @pytest.fixture
    def link(self, server: EtcdServer) -> Iterator[Proxy]:
        with Proxy(server.get_host(), server.get_port()) as proxy:
            yield proxy


class SecureServer:
    """Asks clients for a certificate, and for the password of ``member``, who owns ``/rendezvous``."""

    def __init__(self, folder: Path) -> None:
        certificates = Certificates(folder / "tls")
        self.ca_cert = certificates.ca_cert
        self.ssl_cert, self.ssl_cert_key = certificates.issue("client.test")
        self._member = certificates.issue("member.test", "member")
        certificate, key = self.certificate_of_server = certificates.issue("127.0.0.1")
        self.server = EtcdServer(
            folder / "data",
            [
                f"--cert-file={certificate}",
                f"--key-file={key}",
                f"--trusted-ca-file={self.ca_cert}",
                "--client-cert-auth",
                "--auth-token-ttl=2",  # so that tokens are renewed all the time
                "--bcrypt-cost=4",
            ],
        )

    def start(self) -> None:
        self.server.start(stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.server.stop()

    @property
    def certificates(self) -> dict[str, Any]:
        """What every client needs."""
        return {"ca_cert": self.ca_cert, "ssl_cert": self.ssl_cert, "ssl_cert_key": self.ssl_cert_key}

    @property
    def certificates_of_member(self) -> dict[str, Any]:
        """What says who the client is, so that no password is needed."""
        certificate, key = self._member
        return {"ca_cert": self.ca_cert, "ssl_cert": certificate, "ssl_cert_key": key}

    credentials: ClassVar[dict[str, Any]] = {"user": "member", "password": PASSWORD}
    """What clients need once there are users."""

    def enable_auth(self) -> None:
        """For the v3 API."""
        for command in (
            ["user", "add", f"root:{PASSWORD}"],
            ["user", "add", f"member:{PASSWORD}"],
            ["role", "add", "members"],
            ["role", "grant-permission", "members", "--prefix=true", "readwrite", "/rendezvous/"],
            ["user", "grant-role", "member", "members"],
            ["user", "grant-role", "root", "root"],
            ["auth", "enable"],
        ):
            self.etcdctl(*command)

    def etcdctl(self, *command: str) -> None:
        """Run a command of the operator."""
        subprocess.run(
            [
                str(Path(find_binary()).with_name("etcdctl")),
                f"--endpoints=https://{self.server.get_endpoint()}",
                f"--cacert={self.ca_cert}",
                f"--cert={self.ssl_cert}",
                f"--key={self.ssl_cert_key}",
                *command,
            ],
            env={**os.environ, "ETCDCTL_API": "3"},
            capture_output=True,
            check=True,
        )

    def enable_v2_auth(self) -> None:
        """For the v2 API, which has users of its own."""
        mine = {"kv": {"read": ["/rendezvous/*"], "write": ["/rendezvous/*"]}}
        everything = {"kv": {"read": ["/*"], "write": ["/*"]}}
        self._put("users/root", {"user": "root", "password": PASSWORD})
        self._put("roles/members", {"role": "members", "permissions": mine})
        self._put("users/member", {"user": "member", "password": PASSWORD, "roles": ["members"]})
        self._put("enable", {})
        self._put("roles/guest", {"role": "guest", "revoke": everything}, as_root=True)

    def add_v2_user(self, name: str, permissions: dict[str, list[str]]) -> None:
        """With the password of all."""
        self._put(f"roles/{name}s", {"role": f"{name}s", "permissions": {"kv": permissions}}, as_root=True)
        user = {"user": name, "password": PASSWORD, "roles": [f"{name}s"]}
        self._put(f"users/{name}", user, as_root=True)

    def _put(self, path: str, body: object, as_root: bool = False) -> None:
        context = ssl.create_default_context(cafile=self.ca_cert)
        context.load_cert_chain(self.ssl_cert, self.ssl_cert_key)
        request = urllib.request.Request(
            f"https://{self.server.get_endpoint()}/v2/auth/{path}", json.dumps(body).encode(), method="PUT"
        )
        request.add_header("Content-Type", "application/json")
        if as_root:
            request.add_header("Authorization", "Basic " + b64encode(f"root:{PASSWORD}".encode()).decode())
        with urllib.request.urlopen(request, context=context, timeout=30):
            pass


class Cluster:
    """Three members."""

    def __init__(self, folder: Path) -> None:
        peers = {f"member{number}": f"http://127.0.0.1:{free_port()}" for number in range(3)}
        self.members = [
            EtcdServer(
                folder / name,
                [
                    f"--name={name}",
                    f"--listen-peer-urls={url}",
                    f"--initial-advertise-peer-urls={url}",
                    f"--initial-cluster={','.join(f'{each}={where}' for each, where in peers.items())}",
                    "--heartbeat-interval=50",
                    "--election-timeout=500",
                ],
            )
            for name, url in peers.items()
        ]

    def start(self) -> None:
        """A member is ready once most of them are there."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda member: member.start(stderr=subprocess.DEVNULL), self.members))

    def stop(self) -> None:
        for member in self.members:
            member.stop()

    @property
    def endpoint(self) -> str:
        return ",".join(member.get_endpoint() for member in self.members)

    def find(self, role: str) -> EtcdServer:
        """The leader, or a follower."""
        found: list[EtcdServer] = []

        def look() -> bool:
            found[:] = [member for member in self.members if is_leader(member) is (role == "leader")]
            return bool(found)

        until(look)
        return found[0]


class Links:
    """The proxies in front of a cluster's members, as one link."""

    def __init__(self, members: Sequence[EtcdServer]) -> None:
        self._proxies = [Proxy(member.get_host(), member.get_port()) for member in members]

    @property
    def endpoint(self) -> str:
        return ",".join(proxy.endpoint for proxy in self._proxies)

    @property
    def traffic(self) -> int:
        return sum(proxy.traffic for proxy in self._proxies)

    @contextmanager
    def lose_reply(self, after: int = 0) -> Iterator[threading.Event]:
        """Of all members together."""
        with self._proxies[0].lose_reply(after) as lost:
            for proxy in self._proxies[1:]:
                proxy._loss = self._proxies[0]._loss
            yield lost
        for proxy in self._proxies[1:]:
            proxy._loss = None

    def cut(self) -> None:
        for proxy in self._proxies:
            proxy.cut()

    def close(self) -> None:
        for proxy in self._proxies:
            proxy.stop()


def is_leader(member: EtcdServer) -> bool | None:
    """Whether it leads; ``None`` where it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{member.get_endpoint()}/metrics", timeout=2) as answer:
            return b"\netcd_server_is_leader 1" in answer.read()
    except OSError:
        return None


def calls_of(server: EtcdServer, method: str) -> int:
    """How often clients have called a method of the v3 API."""
    with urllib.request.urlopen(f"http://{server.get_endpoint()}/metrics") as answer:
        metrics = answer.read().decode()
    counted = re.findall(
        rf'^grpc_server_started_total{{grpc_method="{method}",.*}} (.*)$', metrics, re.MULTILINE
    )
    return sum(map(int, counted))


def etcdctl(server: EtcdServer, *command: str) -> None:
    """Run a command of the operator."""
    program = Path(find_binary()).with_name("etcdctl")
    subprocess.run(
        [program, f"--endpoints={server.get_endpoint()}", *command], check=True, capture_output=True
    )


def pause(server: EtcdServer) -> None:
    """Stop it as it stands."""
    suspend(server.pid)


def resume(server: EtcdServer) -> None:
    """Let a paused one go on."""
    os.kill(server.pid, signal.SIGCONT)


def kill(server: EtcdServer) -> None:
    """End it without a word."""
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
