"""What TLS refuses, at either end."""

import datetime
import socket
import ssl
from typing import Any

from tests.redis.refusals.scene import Scene, says
from tests.support.tls import Certificates

DAY = datetime.timedelta(days=1)


@says(r"wants TLS")
def plain_to_tls(scene: Scene) -> None:
    scene.open(scene.secured().replace("rediss", "redis"))


@says(r"speaks no TLS|WRONG_VERSION_NUMBER")
def tls_to_plain(scene: Scene) -> None:
    scene.open(f"rediss://{scene.server().endpoint}")


@says(r"reply to the handshake")
def silent(scene: Scene) -> None:
    listener = scene.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    scene.open(f"rediss://127.0.0.1:{listener.getsockname()[1]}")


def issued(scene: Scene, *, begins: int = -2, ends: int = 2, name: str = "127.0.0.1") -> tuple[str, str]:
    """A certificate that is good for days that are counted from today."""
    now = datetime.datetime.now(datetime.UTC)
    return scene.certificates.issue(name, not_before=now + begins * DAY, not_after=now + ends * DAY)


@says(r"certificate has expired")
def expired(scene: Scene) -> None:
    scene.open_secured(certificate=issued(scene, ends=-1))


@says(r"certificate is not yet valid")
def not_yet_valid(scene: Scene) -> None:
    scene.open_secured(certificate=issued(scene, begins=1))


@says(r"Hostname mismatch|IP address mismatch|doesn't match")
def another_name(scene: Scene) -> None:
    scene.open_secured(certificate=issued(scene, name="other.test"))


@says(r"self.signed|issuer certificate|verify the first certificate")
def unknown_authority(scene: Scene) -> None:
    scene.open_secured(ca_cert=Certificates(scene.folder / "theirs").ca_cert)


@says(r"CERTIFICATE_VERIFY_FAILED")
def another_purpose(scene: Scene) -> None:
    scene.open_secured(certificate=scene.certificates.issue_for_clients("127.0.0.1"))


@says(r"ALERT_CERTIFICATE_REQUIRED|ALERT_HANDSHAKE_FAILURE")
def no_certificate(scene: Scene) -> None:
    scene.open_secured("tls-auth-clients yes")


def with_certificate(scene: Scene, certificate: tuple[str, str]) -> None:
    file, key = certificate
    scene.open_secured("tls-auth-clients yes", ssl_cert=file, ssl_cert_key=key)


@says(r"ALERT_CERTIFICATE_EXPIRED")
def expired_client(scene: Scene) -> None:
    with_certificate(scene, issued(scene, ends=-1, name="client"))


@says(r"ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA|DECRYPT_ERROR|ACCESS_DENIED)")
def foreign_client(scene: Scene) -> None:
    with_certificate(scene, Certificates(scene.folder / "theirs").issue("client"))


@says(r"PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY")
def old_tls(scene: Scene) -> None:
    create = ssl.create_default_context

    def create_strict(*arguments: Any, **options: Any) -> ssl.SSLContext:
        context = create(*arguments, **options)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    scene.patch.setattr(ssl, "create_default_context", create_strict)
    scene.open_secured("tls-auth-clients no", "tls-protocols TLSv1.2")
