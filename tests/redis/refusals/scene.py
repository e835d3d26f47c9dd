"""What refusals need: servers, links, certificates and namespaces, and the list of them all."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import pytest

from rendezvous_core import Endpoint
from rendezvous_core.ports.serving import free_port
from rendezvous_redis import RedisOptions, RedisRun, RedisServer
from rendezvous_redis._link import Link
from rendezvous_redis._target import parse_target
from tests.redis.servers import server_of
from tests.support.tls import Certificates

PASSWORD = "s3cret"
BRISK = 1.0


class Scene:
    """What a refusal needs; ends with the test."""

    def __init__(self, variant: str, stack: ExitStack, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.variant, self.stack, self.folder, self.patch = variant, stack, folder, patch
        self.certificates = Certificates(folder / "tls")

    def server(self, *config: str, variant: str = "", password: str | None = None) -> RedisServer:
        binary = server_of(variant or self.variant)
        server = RedisServer(binary=binary, config=config, password=password)
        return self.stack.enter_context(server)

    def open(self, endpoint: str, **options: Any) -> RedisRun:
        given = RedisOptions(**{"connect_timeout": BRISK, "read_timeout": BRISK, **options})
        run = RedisRun(endpoint, "run", given)
        self.stack.callback(run.close)
        return run

    def link(self, server: RedisServer) -> Link:
        link = Link(parse_target(server.endpoint, RedisOptions()), Endpoint(server.host, server.port), BRISK)
        self.stack.callback(link.close)
        return link

    def secured(self, *config: str, certificate: tuple[str, str] | None = None) -> str:
        """The endpoint of a server that speaks TLS by itself."""
        port = free_port()
        file, key = certificate or self.certificates.issue("127.0.0.1")
        self.server(
            f"tls-port {port}",
            f"tls-cert-file {file}",
            f"tls-key-file {key}",
            f"tls-ca-cert-file {self.certificates.ca_cert}",
            *(config or ["tls-auth-clients no"]),
            variant="system",  # no wheel has TLS
        )
        return f"rediss://127.0.0.1:{port}"

    def open_secured(self, *config: str, certificate: tuple[str, str] | None = None, **options: Any) -> None:
        given = {"ca_cert": self.certificates.ca_cert, **options}
        self.open(self.secured(*config, certificate=certificate), **given)


SCENES: dict[str, Callable[[Scene], object]] = {}
"""What has a server refuse, by what the row of the table looks for; raises what comes of it."""


def says(pattern: str) -> Callable[[Callable[[Scene], object]], Callable[[Scene], object]]:
    def add(scene: Callable[[Scene], object]) -> Callable[[Scene], object]:
        SCENES[pattern] = scene
        return scene

    return add


class ToldElsewhereError(Exception):
    """What another process was told."""


def in_namespace(code: str, *flags: str, before: str = "true") -> NoReturn:
    """Have ``code`` run in namespaces of its own, and raise what it prints."""
    if not shutil.which("unshare") or subprocess.run(["unshare", *flags, "true"], check=False).returncode:
        pytest.skip("no namespaces can be made here")
    command = ["unshare", *flags, "sh", "-c", f'{before} && exec "$@"', "sh", sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    raise ToldElsewhereError(ended.stdout + ended.stderr)


OPEN = """
from rendezvous_core import RendezvousError
from rendezvous_redis import RedisOptions, RedisRun, RedisServer
def tell(endpoint):
    try:
        RedisRun(endpoint, "run", RedisOptions(connect_timeout=0.5, read_timeout=1))
    except RendezvousError as error:
        print(error)
"""
