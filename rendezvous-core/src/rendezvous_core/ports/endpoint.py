"""Endpoints as people write them: ``host``, ``host:port``, IPv4, IPv6, and lists of those."""

import ipaddress
import re
from typing import NamedTuple

from rendezvous_core.ports.redaction import redact, shown_name

_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_HOST = re.compile(r"(?!-)[\w-]{1,63}(?<!-)(\.(?!-)[\w-]{1,63}(?<!-))*\.?")


class Endpoint(NamedTuple):
    """The address of a server; ``str`` writes it so that `parse_endpoint` reads it back."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(endpoint: str | None, default_port: int) -> Endpoint:
    """Read ``host``, ``host:port``, an IPv4 or IPv6 address, or ``[IPv6]:port``.

    Without a host it is ``localhost``, without a port ``default_port``. An IPv6 address that
    carries a port needs its brackets: without them everything is the address.

    Raises:
        ValueError: anything else; the message names the endpoint and says what is expected.
    """
    text = (endpoint or "").strip()
    if not text:
        return Endpoint("localhost", default_port)
    _check_plain(text)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or not _is_ipv6(host):
            raise _invalid(text, "must hold an IPv6 address in its brackets, as in [::1]:29400")
        return Endpoint(host, _port(text, rest[1:]) if rest else default_port)
    if text.count(":") > 1:
        if not _is_ipv6(text):
            raise _invalid(text, "has several colons but is no IPv6 address; write [address]:port for one")
        return Endpoint(text, default_port)
    host, colon, rest = text.partition(":")
    _check_host(text, host)
    return Endpoint(host, _port(text, rest) if colon else default_port)


def parse_endpoints(endpoints: str | None, default_port: int) -> list[Endpoint]:
    """Read a comma-separated list of endpoints, in its order; see `parse_endpoint`.

    Raises:
        ValueError: an item is no endpoint, or empty.
    """
    text = (endpoints or "").strip()
    _check_plain(text)  # before it is cut: a password may hold a comma
    items = text.split(",")
    if len(items) > 1 and not all(item.strip() for item in items):
        raise _invalid(text, "has an empty item; write host1:port1,host2:port2")
    return [parse_endpoint(item, default_port) for item in items]


def parse_config(config: str) -> dict[str, str]:
    """Read options written as ``key1=value1,key2=value2``, the format of ``--rdzv-conf``.

    Raises:
        ValueError: an option has no name or no value.
    """
    options: dict[str, str] = {}
    for item in config.split(",") if config.strip() else []:
        key, sign, value = (part.strip() for part in item.partition("="))
        if not key or (options and not sign):  # without its sign it may be the rest of a password
            raise ValueError(
                f"The rendezvous configuration ({len(options) + 1}. item) must be in the format "
                "<key1>=<value1>,...,<keyN>=<valueN>; no value can hold a comma."
            )
        if not value:
            name = shown_name(key)
            raise ValueError(
                f"The rendezvous configuration option {name} must have a value: {name[1:-1]}=<value>."
            )
        options[key] = value
    return options


def _check_plain(text: str) -> None:
    if "://" in text:
        raise _invalid(text, "is a URL; write host or host:port")
    if "@" in text or "?" in text:
        raise _invalid(text, "has a user or a query; write host or host:port, and give options beside it")


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _check_host(endpoint: str, host: str) -> None:
    if not _HOST.fullmatch(host):
        raise _invalid(endpoint, "must name a host: a host name, an IPv4 address, or an IPv6 address")
    if all(label.isdigit() for label in host.split(".") if label):
        try:
            ipaddress.IPv4Address(host)
        except ValueError as error:
            raise _invalid(endpoint, f"is no IPv4 address ({error}); write host or host:port") from error


def _port(endpoint: str, text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise _invalid(
            endpoint, f"must have a port between 0 and 65535 after its colon, not {redact(text)!r}"
        )
    return int(text)


def _invalid(endpoint: str, problem: str) -> ValueError:
    return ValueError(f"The rendezvous endpoint {redact(endpoint)!r} {problem}.")
