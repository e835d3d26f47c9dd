"""The address of this machine that others are told."""

import socket

import pytest

from rendezvous_core.ports import addresses
from rendezvous_core.ports.addresses import address_towards, is_loopback, loopback_id, resolves


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "LOCALHOST."])
def test_a_backend_on_this_machine_only_is_reached_by_loopback(host: str) -> None:
    found = address_towards([host])
    assert is_loopback(found.address)
    assert host in found.reason


def test_a_name_of_this_machine_that_means_loopback_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Debian, where a machine's own name is 127.0.1.1 in its hosts file."""
    monkeypatch.setattr(addresses, "_resolve", lambda host: iter(["127.0.1.1"]))
    monkeypatch.setattr(addresses, "_source", {"192.0.2.1": "10.0.0.7", "127.0.1.1": "127.0.1.1"}.get)
    assert address_towards(["node0"]).address == "10.0.0.7"


def test_link_local_addresses_are_of_no_use_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_resolve", lambda host: iter(["fe80::2", "fd00::2"]))
    monkeypatch.setattr(addresses, "_source", {"fe80::2": "fe80::1", "fd00::2": "fd00::1"}.get)
    assert address_towards(["node0"]).address == "fd00::1"


def test_a_host_that_does_not_resolve_leads_nowhere_in_particular() -> None:
    assert not resolves("no-such-host.invalid")
    assert address_towards(["no-such-host.invalid"]).address == address_towards(None).address


def test_a_machine_without_network_has_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_source", {"127.0.0.1": "127.0.0.1"}.get)
    found = address_towards(None)
    assert found.address == "127.0.0.1"
    assert "no other address" in found.reason


def test_a_loopback_interface_has_one_name() -> None:
    assert loopback_id() == loopback_id() != socket.gethostname()
