"""From what servers and client libraries say to what to do: the part that both APIs share."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from rendezvous_core import RendezvousConnectionError, RendezvousError
from rendezvous_etcd.probe import speaks_http, speaks_tls


class UnreachableError(RendezvousConnectionError):
    """No member answers, or not now: later one may."""


class UncertainError(RendezvousConnectionError):
    """The answer to a write is missing: it may have been carried out."""


class Advice(NamedTuple):
    """What to do about something that is said."""

    said: str
    """A regular expression."""
    text: str
    """What follows the name of the server in the message; ``{names}`` are filled in."""
    ends: Literal["call", "member", "nothing"] = "nothing"
    """What is of no use any more: to repeat the call, to ask this member, or neither."""
    kind: type[RendezvousError] = UnreachableError


TLS = (
    Advice(
        r"certificate has expired",
        "shows a certificate that has expired: renew it, or set the clock of this machine",
        "member",
        RendezvousConnectionError,
    ),
    Advice(
        r"certificate is not yet valid",
        "shows a certificate that is not valid yet: are the clocks right?",
        "member",
        RendezvousConnectionError,
    ),
    Advice(
        r"Hostname Verification Check failed|[Hh]ostname mismatch|IP address mismatch|doesn't match",
        "shows a certificate that is for other names: write one of those in the endpoint, or have "
        "this one certified",
        "member",
        RendezvousConnectionError,
    ),
    Advice(
        r"CERTIFICATE_VERIFY_FAILED",
        "shows a certificate that cannot be verified: give the authority that signed it, ca_cert",
        "member",
        RendezvousConnectionError,
    ),
    Advice(
        r"(?i)alert.(bad|unknown|expired|revoked).certificate|alert.certificate|certificate.required|"
        r"alert.unknown.ca|alert.handshake.failure",
        "wants a certificate of its clients that it can verify: give ssl_cert and ssl_cert_key, not expired "
        "and of an authority that it trusts",
        "member",
        RendezvousConnectionError,
    ),
)
"""What is said about certificates."""

HANGS_UP = Advice(
    r"(?i)socket closed|without response|connection reset|eof.while.reading|wrong.version.number",
    "cannot be reached within {patience:g} s: what is connected to hangs up at once",
)
CONNECTING = (
    HANGS_UP,
    Advice(
        r"errors resolving|[Nn]ame resolution|Failed to resolve",
        "cannot be reached within {patience:g} s: its name is not known here",
    ),
    Advice(
        r"Too many open files",
        "cannot be reached within {patience:g} s: this process may open no more connections; raise its limit "
        "of open files (ulimit -n)",
    ),
    Advice(r"[Cc]onnection refused", "cannot be reached within {patience:g} s: nobody listens there"),
    Advice(
        r"Failed parsing HTTP/2|not valid JSON|Bad response",
        "cannot be reached within {patience:g} s: what answers is no etcd; is that the port for clients?",
    ),
    Advice(r"", "cannot be reached within {patience:g} s"),
)
"""What is said where no connection comes about; the last one fits all."""

_SPEAKS_TLS = Advice("", "speaks TLS: say protocol=https", "member", RendezvousConnectionError)
_SPEAKS_NO_TLS = Advice(
    "",
    "does not speak TLS: leave out protocol=https and the certificates",
    "member",
    RendezvousConnectionError,
)
_REFUSES_CERTIFICATE = Advice(
    "",
    "hangs up, as its v2 API does on certificates of users that it does not know: give user and password, or "
    "a certificate whose common name is that of a user",
    "member",
    RendezvousConnectionError,
)


def advise(said: str, table: Sequence[Advice]) -> Advice:
    """The first entry of ``table`` that fits."""
    return next(each for each in table if re.search(each.said, said))


def advise_on_tls(host: str, port: int, secure: bool) -> Advice:
    """Find out why a server hangs up on who speaks TLS, or on who does not."""
    is_tls = speaks_tls(host, port)
    if secure and is_tls:
        return _REFUSES_CERTIFICATE
    if secure and speaks_http(host, port):
        return _SPEAKS_NO_TLS
    return _SPEAKS_TLS if is_tls else HANGS_UP


def raised(advice: Advice, where: str, said: str, doubtful: bool, **names: object) -> RendezvousError:
    """The error that says so; ``doubtful`` where a write may have been carried out nevertheless."""
    text = f"etcd at {where} {advice.text.format(**names)}"
    if doubtful:
        text = f"{text}: whether a write was carried out, or will be, is unknown"
        return UncertainError(f"{text} ({said}).")
    return advice.kind(f"{text} ({said}).")
