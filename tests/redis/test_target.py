"""Endpoints and options: what they mean, which counts more, and what is refused how."""

from pathlib import Path
from typing import Any

import pytest

from rendezvous_core import RendezvousParameters
from rendezvous_redis import RedisOptions, create_backend
from rendezvous_redis._target import Target, parse_target
from tests.support.tls import Certificates

SECRET = "s3cret"


def target(endpoint: str, **options: object) -> Target:
    return parse_target(endpoint, RedisOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("endpoint", "hosts"),
    [
        ("", "localhost:6379"),
        ("host", "host:6379"),
        ("host:7000", "host:7000"),
        (" 10.0.0.1 ", "10.0.0.1:6379"),
        ("::1", "[::1]:6379"),
        ("[::1]:7000", "[::1]:7000"),
        ("redis://", "localhost:6379"),
        ("redis://host", "host:6379"),
        ("redis://[::1]:7000/2", "[::1]:7000"),
        ("rediss://host/", "host:6379"),
        ("sentinel://one,two:7000,[::1]:1/main", "one:26379,two:7000,[::1]:1"),
        ("cluster://one,two:7000", "one:6379,two:7000"),
        ("cluster://user:word@one", "one:6379"),
    ],
)
def test_forms(endpoint: str, hosts: str) -> None:
    """Every form names one or several hosts, with the usual ports by default."""
    assert ",".join(map(str, target(endpoint).hosts)) == hosts


def test_parts_of_an_endpoint() -> None:
    """User, password, database, master and socket are read; what is percent-encoded is decoded."""
    found = target("redis://us%40er:pass%2Fword%25@host/3")
    assert (found.credentials.user, found.credentials.password) == ("us@er", "pass/word%")
    assert (found.scheme, found.db, found.tls) == ("redis", 3, None)
    assert target("redis://:word@host").credentials.password == "word"
    assert target("rediss://host").tls is not None
    watched = target("sentinel://:word@host/main/4")
    assert (watched.master, watched.db, watched.credentials.password) == ("main", 4, "word")
    assert watched.sentinel_credentials.password is None
    local = target("unix://user:word@/run/my%20redis.sock?db=5")
    assert (local.path, local.db, local.credentials.user) == ("/run/my redis.sock", 5, "user")


def test_options_count_more_than_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """First the option, then the endpoint, then the environment."""
    monkeypatch.setenv("RENDEZVOUS_REDIS_USER", "from-environment")
    monkeypatch.setenv("RENDEZVOUS_REDIS_PASSWORD", "from-environment")
    monkeypatch.setenv("RENDEZVOUS_REDIS_SENTINEL_PASSWORD", "of-sentinels")
    found = target("redis://:from-endpoint@host/1", password="from-option", db=2)
    assert (found.credentials.user, found.credentials.password) == ("from-environment", "from-option")
    assert found.db == 2
    assert target("redis://:from-endpoint@host").credentials.password == "from-endpoint"
    assert target("host").credentials.password == "from-environment"
    assert target("sentinel://host/main").sentinel_credentials.password == "of-sentinels"
    assert target("sentinel://host/main", sentinel_password="p").sentinel_credentials.password == "p"
    assert target("host", tls=True).tls is not None


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://host",
        "redis://host:port",
        "redis://host/one",
        "redis://host?db=1",
        "redis:/host",
        "unix://host/path",
        "unix://",
        "unix:///path?timeout=1",
        "sentinel://host",
        "sentinel:///main",
        "sentinel://host/main/one",
        "cluster://host/1",
        "cluster://",
        "cluster://one,,two",
        "redis://one,two",
    ],
)
def test_impossible_endpoints(endpoint: str) -> None:
    """What has no meaning is refused, and the message shows it."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        target(endpoint)
    assert endpoint.partition("://")[2] in str(caught.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        f"user:{SECRET}@host",
        f"redis://user:{SECRET}@host:port",
        f"redis://user:{SECRET}@host/one",
        f"http://user:{SECRET}@host",
        f"redis://user:{SECRET}/more@host",
        f"redis://user:a/{SECRET}@host",
        f"cluster://:{SECRET}@host/1",
        f"unix://user:{SECRET}@/path?password={SECRET}",
    ],
)
def test_refusals_show_no_password(endpoint: str) -> None:
    """Whatever is wrong with an endpoint, its password is not told."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        target(endpoint)
    assert SECRET not in str(caught.value)


def test_nothing_shows_a_password() -> None:
    """Neither options nor targets print passwords."""
    options = RedisOptions(password=SECRET, sentinel_password=SECRET)
    shown = [
        repr(options),
        repr(parse_target(f"redis://u:{SECRET}@host", options)),
        str(target(f"redis://:{SECRET}@h")),
    ]
    assert SECRET not in "".join(shown)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"db": -1}, "db"),
        ({"ttl": 0.0}, "ttl"),
        ({"ttl": float("inf")}, "ttl"),
        ({"read_timeout": -1.0}, "read_timeout"),
        ({"connect_timeout": 0.0}, "connect_timeout"),
        ({"key_prefix": ""}, "key_prefix"),
        ({"ssl_cert_key": "key.pem"}, "ssl_cert"),
        ({"ca_cert": "no-such-file", "tls": True}, "ca_cert"),
        ({"ca_cert": __file__, "tls": True}, "ca_cert"),
        ({"ca_cert": __file__}, "tls"),
        ({"ca_cert": __file__, "tls": False}, "tls"),
        ({"ssl_cert": __file__, "tls": True}, "ssl_cert"),
    ],
)
def test_impossible_options(options: dict[str, object], name: str) -> None:
    """An impossible option is refused by name."""
    with pytest.raises(ValueError, match=name):
        target("host", **options)


def test_contradictions() -> None:
    """Endpoint and options must not say opposite things."""
    with pytest.raises(ValueError, match="tls"):
        target("rediss://host", tls=False)
    with pytest.raises(ValueError, match="TLS"):
        target("unix:///path", tls=True)
    with pytest.raises(ValueError, match="database"):
        target("cluster://host", db=1)


def test_an_encrypted_key_is_refused(tmp_path: Path) -> None:
    """Nobody is asked for a passphrase on the terminal."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key

    certificate, key = Certificates(tmp_path).issue("client")
    loaded = load_pem_private_key(Path(key).read_bytes(), None)
    Path(key).write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            BestAvailableEncryption(b"passphrase"),
        )
    )
    with pytest.raises(ValueError, match="ssl_cert_key"):
        target("rediss://host", ssl_cert=certificate, ssl_cert_key=key)


def test_options_of_parameters() -> None:
    """Options come as the command line gives them, and are checked against those of the handler."""

    def options(**given: Any) -> RedisOptions:
        return RedisOptions.from_params(RendezvousParameters("redis", "", "run", 1, 1, **given))

    assert options() == RedisOptions()
    assert options(ttl="60", tls="yes", db="3", key_prefix="p") == RedisOptions(
        ttl=60.0, tls=True, db=3, key_prefix="p"
    )
    assert [
        options(**given).connect_timeout
        for given in ({}, {"join_timeout": 5}, {"connect_timeout": "900"}, {"connect_timeout": 2})
    ] == [60, 5, 600, 2]
    with pytest.raises(ValueError, match="ttl"):
        create_backend(RendezvousParameters("redis", "", "run", 1, 1, ttl=20))
    with pytest.raises(ValueError, match="run id"):
        create_backend(RendezvousParameters("redis", "", "", 1, 1))
