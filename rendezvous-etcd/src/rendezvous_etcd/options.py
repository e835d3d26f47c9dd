"""How to reach an etcd cluster, as the options of `RendezvousParameters` say it."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from rendezvous_core import Option, RendezvousParameters, read_options
from rendezvous_core.ports.endpoint import Endpoint, parse_endpoints
from rendezvous_core.ports.settings import HANDLER_OPTIONS, JOIN_TIMEOUT, read_silence

DEFAULT_PORT = 2379
DEFAULT_PREFIX = "/rendezvous"
DEFAULT_READ_TIMEOUT = 10.0
DEFAULT_CONNECT_TIMEOUT = 60.0
DEFAULT_TTL = 2 * 60 * 60
DEFAULT_MEMBER_TTL = 60


_CONNECTION = (
    Option(
        "protocol",
        "choice",
        "https for TLS",
        choices=("http", "https"),
        unset="http; https with a certificate",
    ),
    Option(
        "ca_cert",
        "path",
        "the authority that signed the servers' certificates",
        unset="the system's authorities",
        aliases=("cacert",),
    ),
    Option("ssl_cert", "path", "the client's certificate", aliases=("cert",)),
    Option("ssl_cert_key", "path", "its key, not encrypted", unset="in the same file", aliases=("key",)),
    Option(
        "user",
        "text",
        "who needs `readwrite` on the prefix. In the v2 API users are separate ones, and each request with a "
        "password costs the server a tenth of a second: let certificates name the user there",
    ),
    Option("password", "text", "of the user", secret=True),
    Option(
        "connect_timeout",
        "seconds",
        "for how long a cluster, or its name, that is not there yet is waited for, at most `join_timeout`; "
        "the log says so. What it refuses is said at once",
        DEFAULT_CONNECT_TIMEOUT,
    ),
    Option(
        "read_timeout",
        "seconds",
        "within which an operation must be answered, all attempts together",
        DEFAULT_READ_TIMEOUT,
    ),
)
_KEY_PREFIX = Option("key_prefix", "text", "where the runs are kept", DEFAULT_PREFIX)
_LIFETIMES = (
    Option(
        "ttl",
        "integer",
        "for how many seconds a run outlives the last heartbeat of its last node",
        least=1,
        unset=str(DEFAULT_TTL),
    ),
    Option(
        "member_ttl",
        "integer",
        "for how many seconds the record of a node outlives its last heartbeat",
        least=1,
        unset=f"{DEFAULT_MEMBER_TTL}, or four times the silence after which a node is dead",
    ),
)
OPTIONS = (*_CONNECTION, _KEY_PREFIX, *_LIFETIMES)
"""Of ``etcd-v3`` and ``etcd-v2``."""

ETCD_PREFIX = Option("etcd_prefix", "text", "where the runs are kept", "/torchelastic/p2p")
TIMEOUT = Option("timeout", "seconds", "torch's name of `join_timeout`", unset="600 s")
LAST_CALL = next(option for option in HANDLER_OPTIONS if option.name == "last_call_timeout")
LEGACY_OPTIONS = (ETCD_PREFIX, TIMEOUT, *_CONNECTION)
"""Of the legacy handler, besides those that it shares with the dynamic one."""


@dataclass(frozen=True)
class Connection:
    """How to reach a cluster, and as whom.

    Args:
        endpoints: the members; all of one cluster.
        secure: whether they speak TLS.
        ca_cert: file of the authority that signed the servers' certificates; the system's by default.
        ssl_cert: file of the client's certificate.
        ssl_cert_key: file of its key.
        user: name of the user.
        password: the user's password.
        read_timeout: seconds within which an operation must be answered, all attempts together.
        connect_timeout: seconds for which a cluster, or its name, that is not there yet is waited for.

    Raises:
        ValueError: a part is missing that another one needs, a file is not there or holds something
            else, or a timeout is not positive.
    """

    endpoints: tuple[Endpoint, ...]
    secure: bool = False
    ca_cert: str | None = None
    ssl_cert: str | None = None
    ssl_cert_key: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    read_timeout: float = DEFAULT_READ_TIMEOUT
    connect_timeout: float = DEFAULT_CONNECT_TIMEOUT

    def __post_init__(self) -> None:
        object.__setattr__(self, "endpoints", tuple(dict.fromkeys(self.endpoints)))
        if not self.endpoints:
            raise ValueError("At least one etcd endpoint is needed.")
        for name in ("read_timeout", "connect_timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"The {name} ({getattr(self, name)}) must be a positive number of seconds.")
        for name in ("ca_cert", "ssl_cert", "ssl_cert_key"):
            path = getattr(self, name)
            if path is None:
                continue
            if not self.secure:
                raise ValueError(f"The option {name} is of use with protocol=https only.")
            if not Path(path).is_file():
                raise ValueError(f"The option {name} must name a file, but there is none at {path!r}.")
        if self.ssl_cert_key is not None and self.ssl_cert is None:
            raise ValueError("The option ssl_cert_key needs the certificate of the key, ssl_cert.")
        if (self.user is None) != (self.password is None):
            raise ValueError("The options user and password need each other.")
        _check_certificates(self.ca_cert, self.ssl_cert, self.ssl_cert_key)

    def __str__(self) -> str:
        return ",".join(map(str, self.endpoints))


def read_connection(params: RendezvousParameters) -> Connection:
    """Read the endpoint and the options that tell how to connect.

    Nobody waits longer for a cluster than for a round.

    Raises:
        ValueError: an option or the endpoint is wrong; names it.
    """
    given = read_options(params, _CONNECTION)
    certificates = {name: given[name] for name in ("ca_cert", "ssl_cert", "ssl_cert_key")}
    protocol = given["protocol"] or ("https" if any(certificates.values()) else "http")
    return Connection(
        tuple(parse_endpoints(params.endpoint, DEFAULT_PORT)),
        protocol == "https",
        **certificates,
        user=given["user"] or None,
        password=given["password"] or None,
        read_timeout=given["read_timeout"],
        connect_timeout=min(given["connect_timeout"], JOIN_TIMEOUT.read(params)),
    )


def _check_certificates(ca_cert: str | None, ssl_cert: str | None, key: str | None) -> None:
    import ssl

    def refuse_encrypted() -> str:
        raise ValueError("The option ssl_cert_key names a key that is encrypted: give one that is not.")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    options = "ca_cert"
    try:
        if ca_cert is not None:
            context.load_verify_locations(ca_cert)
        if ssl_cert is not None:
            options = "ssl_cert and ssl_cert_key" if key else "ssl_cert, without ssl_cert_key,"
            context.load_cert_chain(ssl_cert, key, refuse_encrypted)
    except ssl.SSLError as error:
        raise ValueError(
            f"The options {options} must name a certificate and its key, as PEM: {error}"
            if options != "ca_cert"
            else f"The option ca_cert must name a file with certificates, as PEM: {error}"
        ) from error
    except OSError as error:
        raise ValueError(f"What the option {options} names cannot be read: {error}") from error


def read_lifetimes(params: RendezvousParameters) -> tuple[int, int]:
    """Read ``ttl`` and ``member_ttl``: for how many seconds a run, and a record, outlive their nodes.

    Raises:
        ValueError: one of them is no number, or so short that what is alive could go.
    """
    silence = read_silence(params)
    lifetimes = []
    for option, default in zip(_LIFETIMES, (DEFAULT_TTL, DEFAULT_MEMBER_TTL), strict=True):
        given = option.read(params)
        seconds = max(default, round(4 * silence)) if given is None else given
        if seconds < 2 * silence:
            raise ValueError(
                f"The option '{option.name}' ({seconds} s) must be at least twice keep_alive_interval times "
                f"keep_alive_max_attempt ({silence:g} s): what is alive would go otherwise."
            )
        lifetimes.append(seconds)
    return lifetimes[0], lifetimes[1]


def check_lifetime(name: str, seconds: int | None) -> None:
    """Refuse a time to live below one second; ``None`` stands for the default."""
    if seconds is not None and seconds < 1:
        raise ValueError(f"The {name} ({seconds}) must be at least one second.")


def run_path(prefix: str | None, run_id: str) -> str:
    """The path of a run below ``prefix``, without a slash at its end; no two run ids share one.

    Raises:
        ValueError: the run id is empty.
    """
    if not run_id:
        raise ValueError("The run id must be a non-empty string.")
    return runs_path(prefix) + path_segment(run_id)


def runs_path(prefix: str | None) -> str:
    """The path below which all runs are, with a slash at its end."""
    above = (DEFAULT_PREFIX if prefix is None else prefix).strip("/")
    return f"/{above}/" if above else "/"


def path_segment(text: str) -> str:
    """Turn any text into one segment of a path, like percent-encoding, which servers would undo."""
    return quote(text, safe="").replace(".", "%2E").replace("%", "=")


def segment_text(segment: str) -> str:
    """Undo `path_segment`."""
    return unquote(segment.replace("=", "%"))
