"""The options of the backend."""

from dataclasses import dataclass, field

from rendezvous_core import Option, RendezvousParameters, read_options
from rendezvous_core.ports.limits import check_seconds
from rendezvous_core.ports.settings import JOIN_TIMEOUT

OPTIONS = (
    Option(
        "user",
        "text",
        "ACL user; the server's default user where only a password is given",
        unset="the endpoint's, else `RENDEZVOUS_REDIS_USER`",
        variable="RENDEZVOUS_REDIS_USER",
    ),
    Option(
        "password",
        "text",
        "password of the user",
        secret=True,
        unset="the endpoint's, else `RENDEZVOUS_REDIS_PASSWORD`",
        variable="RENDEZVOUS_REDIS_PASSWORD",
    ),
    Option(
        "sentinel_user",
        "text",
        "ACL user of the Sentinels, which do not share those of the server",
        unset="`RENDEZVOUS_REDIS_SENTINEL_USER`",
        variable="RENDEZVOUS_REDIS_SENTINEL_USER",
    ),
    Option(
        "sentinel_password",
        "text",
        "password of the Sentinels",
        secret=True,
        unset="`RENDEZVOUS_REDIS_SENTINEL_PASSWORD`",
        variable="RENDEZVOUS_REDIS_SENTINEL_PASSWORD",
    ),
    Option("db", "integer", "number of the database", unset="the endpoint's, else 0"),
    Option(
        "tls",
        "boolean",
        "TLS where the endpoint's form does not say so: with Sentinels, with a cluster",
        unset="as the endpoint says",
    ),
    Option("ca_cert", "path", "the only authorities to trust", unset="the system's authorities"),
    Option("ssl_cert", "path", "the client's certificate, if the server asks for one"),
    Option("ssl_cert_key", "path", "its private key", unset="in the same file"),
    Option(
        "connect_timeout",
        "seconds",
        "for how long a server, or its name, that is not there yet is waited for when a node starts; the log "
        "says so. At most `join_timeout`",
        60,
    ),
    Option("read_timeout", "seconds", "for how long an operation of the store tries to reach the server", 60),
    Option("key_prefix", "text", "what the keys begin with", "rendezvous"),
    Option("ttl", "seconds", "for how long a run outlives its last heartbeat or write", 7200),
)


@dataclass(frozen=True, kw_only=True)
class RedisOptions:
    """How to reach the server, and how to keep a run there; its ``repr`` shows no passwords.

    Credentials, database and TLS can also be given by the endpoint; an option that is given counts
    more than the endpoint, and both count more than the environment (``RENDEZVOUS_REDIS_USER``,
    ``RENDEZVOUS_REDIS_PASSWORD``, ``RENDEZVOUS_REDIS_SENTINEL_USER`` and
    ``RENDEZVOUS_REDIS_SENTINEL_PASSWORD``).

    Raises:
        ValueError: an option is impossible; names it.
    """

    user: str | None = None
    """The ACL user; the server's default user where only a password is given."""
    password: str | None = field(default=None, repr=False)
    """The password of the user."""
    sentinel_user: str | None = None
    """The ACL user of the Sentinels, which do not share those of the server."""
    sentinel_password: str | None = field(default=None, repr=False)
    """The password of the Sentinels."""
    db: int | None = None
    """The number of the database: 0 by default, and always on a cluster."""
    tls: bool | None = None
    """Whether to use TLS, with Sentinels too."""
    ca_cert: str | None = None
    """File with the certificates to trust; those of the system by default."""
    ssl_cert: str | None = None
    """File with this client's certificate, if the server asks for one."""
    ssl_cert_key: str | None = None
    """File with its private key, if that is not in the same file."""
    connect_timeout: float = 60.0
    """For how many seconds a server, or its name, that is not there yet is waited for."""
    read_timeout: float = 60.0
    """For how many seconds an operation of the store tries to reach the server before it fails."""
    key_prefix: str = "rendezvous"
    """What the keys of all runs begin with."""
    ttl: float = 7200.0
    """After how many seconds without a heartbeat or a write the keys of a run expire."""
    view_ttl: float | None = None
    """After how many seconds without a heartbeat of a node that holds it a view of the store is forgotten.

    For handlers it follows from their settings; else it is ``ttl``.
    """

    def __post_init__(self) -> None:
        for option in OPTIONS:
            if (value := getattr(self, option.name)) is not None:
                option.check(value)
        if self.view_ttl is not None:
            check_seconds("The view_ttl", self.view_ttl)
        if not self.key_prefix:
            raise ValueError("The option 'key_prefix' must be a non-empty string.")
        if self.ssl_cert_key and not self.ssl_cert:
            raise ValueError("The option 'ssl_cert_key' is given without 'ssl_cert'; give both.")

    @classmethod
    def from_params(cls, params: RendezvousParameters) -> "RedisOptions":
        """Read the options that ``params`` give; nobody waits longer than for a round.

        Raises ``ValueError`` as the class does.
        """
        given = read_options(params, OPTIONS)
        given["connect_timeout"] = min(given["connect_timeout"], JOIN_TIMEOUT.read(params))
        return cls(**given)
