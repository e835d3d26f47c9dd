"""A host is this machine by any name of any of its addresses, and only then."""

import fcntl
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from rendezvous_c10d._locality import locate

_GET_ADDRESS = 0x8915  # SIOCGIFADDR


def interface_addresses() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(probe, _GET_ADDRESS, struct.pack("256s", name.encode()))
            except OSError:
                continue  # an interface without an address
            yield socket.inet_ntoa(found[20:24])


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A name server that knows these names and their addresses, beside the real one."""
    known: dict[str, list[str]] = {}
    resolve = socket.getaddrinfo

    def answer(host: str, *arguments: Any, **options: Any) -> list[Any]:
        found = known.get(host, [host])
        return [item for address in found for item in resolve(address, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return known


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.53", socket.gethostname()])
def test_this_machine(host: str) -> None:
    assert locate(host).is_local
    assert host in locate(host).reason


def test_every_interface_counts() -> None:
    addresses = list(interface_addresses())
    assert addresses
    assert all(locate(address).is_local for address in addresses)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6_counts() -> None:
    assert locate("::1") == (True, "::1, an address of this machine")


def test_an_alias_counts_by_what_it_resolves_to(names: dict[str, list[str]]) -> None:
    """As a CNAME in a cluster, or the name of a second network card."""
    names["head.cluster.example"] = ["198.51.100.1", "127.0.0.9"]
    is_local, reason = locate("head.cluster.example")
    assert is_local
    assert reason == "'head.cluster.example' resolves to 127.0.0.9, an address of this machine"


def test_another_machine(names: dict[str, list[str]]) -> None:
    names["other.example"] = ["198.51.100.1", "198.51.100.2"]
    assert locate("other.example") == (
        False,
        "'other.example' resolves to 198.51.100.1, 198.51.100.2, no address of this machine",
    )
    assert locate("198.51.100.1") == (False, "198.51.100.1, no address of this machine")


def test_a_name_that_resolves_to_nothing() -> None:
    is_local, reason = locate("nowhere.invalid")
    assert not is_local
    assert "'nowhere.invalid' cannot be resolved" in reason


def test_a_machine_that_cannot_resolve_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Unregistered.invalid")
    assert locate("unregistered.invalid.") == (
        True,
        "'unregistered.invalid.' is the name of this machine",
    )


def test_what_is_no_name() -> None:
    assert not locate("a" * 70 + ".example").is_local
