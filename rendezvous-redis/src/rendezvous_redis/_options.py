"""The options of the backend."""

import math
from dataclasses import dataclass, field
from typing import Any

from rendezvous_core import RendezvousParameters


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
        for name in ("connect_timeout", "read_timeout", "ttl", "view_ttl"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"The option '{name}' ({value:g} seconds) must be positive and finite.")
        if self.db is not None and self.db < 0:
            raise ValueError(f"The option 'db' ({self.db}) must be the number of a database, from 0 on.")
        if not self.key_prefix:
            raise ValueError("The option 'key_prefix' must be a non-empty string.")
        if self.ssl_cert_key and not self.ssl_cert:
            raise ValueError("The option 'ssl_cert_key' is given without 'ssl_cert'; give both.")

    @classmethod
    def from_params(cls, params: RendezvousParameters) -> "RedisOptions":
        """Read the options that ``params`` give; nobody waits longer than for a round.

        Raises ``ValueError`` as the class does.
        """
        connecting = params.get_as_float("connect_timeout", cls.connect_timeout) or 0.0
        joining = params.get_as_float("join_timeout", 600) or 0.0
        given: dict[str, Any] = {
            name: str(params.get(name))
            for name in (
                "user", "password", "sentinel_user", "sentinel_password",
                "ca_cert", "ssl_cert", "ssl_cert_key",
            )
            if params.get(name) is not None
        }  # fmt: skip
        return cls(
            **given,
            db=params.get_as_int("db"),
            tls=params.get_as_bool("tls"),
            connect_timeout=min(connecting, joining) if joining > 0 else connecting,
            read_timeout=params.get_as_float("read_timeout", cls.read_timeout) or 0.0,
            key_prefix=str(params.get("key_prefix", cls.key_prefix)),
            ttl=params.get_as_float("ttl", cls.ttl) or 0.0,
        )
