"""Which server an endpoint means, in all the forms in which people write one."""

import os
import re
import ssl
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import parse_qsl, unquote

from rendezvous_core import Endpoint, parse_endpoint, parse_endpoints
from rendezvous_core.ports.redaction import redact
from rendezvous_redis._options import RedisOptions
from rendezvous_redis._tls import tls_context

PORT = 6379
SENTINEL_PORT = 26379

_URL = re.compile(
    r"(?P<scheme>[a-z]+)://((?P<user>[^/?#]*)@)?(?P<hosts>[^/?#@]*)(?P<path>/[^?#@]*)?(\?(?P<query>[^#]*))?"
)
_FORMS = (
    "host[:port], redis://host[:port][/db], rediss:// for the same over TLS, unix:///path[?db=0], "
    "sentinel://host1[:port],host2/master-name[/db] or cluster://host1[:port],host2; with a user and a "
    "password as scheme://user:password@..., each percent-encoded"
)


@dataclass(frozen=True)
class Credentials:
    """A user and a password; ``None`` leaves either out."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Target:
    """A server, or the group of servers of which one is the right one."""

    scheme: str
    """``redis``, ``unix``, ``sentinel`` or ``cluster``."""
    hosts: tuple[Endpoint, ...]
    """The server, the Sentinels, or some nodes of the cluster."""
    path: str = ""
    """The socket of a ``unix`` server."""
    master: str = ""
    """What the Sentinels call the server."""
    db: int = 0
    tls: ssl.SSLContext | None = None
    credentials: Credentials = Credentials()
    sentinel_credentials: Credentials = Credentials()

    def __str__(self) -> str:
        """Name the target for people, without credentials."""
        hosts = ",".join(map(str, self.hosts))
        if self.scheme == "redis":
            return hosts
        return f"{self.scheme}://{hosts}{self.path}{self.master and '/' + self.master}"


def parse_target(endpoint: str, options: RedisOptions) -> Target:
    """Read ``endpoint``; an empty one is the local server at the usual port.

    Raises:
        ValueError: it has none of the known forms, or contradicts ``options``.
    """
    text = endpoint.strip()
    if "://" not in text:
        if "@" in text:
            raise ValueError("The redis endpoint has a user or a password but no scheme; write redis://...")
        return _target("redis", (parse_endpoint(text, PORT),), options)
    url = _URL.fullmatch(text)
    if url is None:
        _refuse(text, "has not the form of a URL")
    scheme, hosts, path = url["scheme"], url["hosts"], unquote(url["path"] or "").strip("/")
    user, _, password = (url["user"] or "").partition(":")
    given = Credentials(unquote(user) or None, unquote(password) or None)
    if url["query"] and scheme != "unix":
        _refuse(text, "has a query; give options beside the endpoint")
    match scheme:
        case "redis" | "rediss":
            if options.tls is False and scheme == "rediss":
                _refuse(text, "asks for TLS, but the option 'tls' is off")
            tls = True if scheme == "rediss" else None
            return _target("redis", (parse_endpoint(hosts, PORT),), options, given, _db(text, path), tls)
        case "unix":
            if hosts or not path or options.tls:
                _refuse(text, "must be unix:///path, without host and without TLS")
            query = dict(parse_qsl(url["query"] or ""))
            number = query.pop("db", "")
            if query:
                _refuse(text, "has a query; only db is known there")
            return _target("unix", (), options, given, _db(text, number), path=f"/{path}")
        case "sentinel":
            master, _, number = path.partition("/")
            if not master or not hosts:
                _refuse(text, "must name the Sentinels and the master, as sentinel://host1,host2/name")
            addresses = tuple(parse_endpoints(hosts, SENTINEL_PORT))
            return _target("sentinel", addresses, options, given, _db(text, number), master=master)
        case "cluster":
            if path or options.db or not hosts:
                _refuse(text, "must name nodes of the cluster alone, which has but the database 0")
            return _target("cluster", tuple(parse_endpoints(hosts, PORT)), options, given)
    _refuse(text, f"has the unknown scheme {scheme!r}")


def _target(
    scheme: str,
    hosts: tuple[Endpoint, ...],
    options: RedisOptions,
    given: Credentials = Credentials(),
    db: int | None = None,
    tls: bool | None = None,
    *,
    path: str = "",
    master: str = "",
) -> Target:
    tls = options.tls if options.tls is not None else bool(tls)
    if not tls and (options.ca_cert or options.ssl_cert):
        raise ValueError(
            "The options 'ca_cert' and 'ssl_cert' need TLS: write rediss://..., or set the option 'tls'."
        )
    return Target(
        scheme,
        hosts,
        path,
        master,
        options.db if options.db is not None else db or 0,
        tls_context(options) if tls else None,
        _credentials("", Credentials(options.user, options.password), given),
        _credentials("SENTINEL_", Credentials(options.sentinel_user, options.sentinel_password)),
    )


def _credentials(kind: str, *sources: Credentials) -> Credentials:
    """Take each part from the first of ``sources`` that has it, at last from the environment."""
    environment = Credentials(
        os.environ.get(f"RENDEZVOUS_REDIS_{kind}USER"), os.environ.get(f"RENDEZVOUS_REDIS_{kind}PASSWORD")
    )
    sources = (*sources, environment)
    return Credentials(
        next((each.user for each in sources if each.user), None),
        next((each.password for each in sources if each.password), None),
    )


def _db(endpoint: str, text: str) -> int | None:
    if text and not text.isdecimal():
        _refuse(endpoint, "must name its database by a number")
    return int(text) if text else None


def _refuse(endpoint: str, problem: str) -> NoReturn:
    raise ValueError(f"The redis endpoint {redact(endpoint)!r} {problem}. Known forms: {_FORMS}.")
