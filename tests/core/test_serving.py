"""Where servers of this machine listen."""

import random
import socket
from pathlib import Path
from typing import Any

import pytest

from rendezvous_core.ports.serving import free_port


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("", socket.AF_INET)]
)
def test_nobody_listens_there(host: str, family: int) -> None:
    for _ in range(3):
        socket.create_server((host, free_port(host)), family=family).close()


def test_no_connection_takes_it() -> None:
    """The system gives connections ports from its range."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert free_port() < min(first, 32768)


def test_those_who_have_a_seed_in_common_get_others() -> None:
    ports = set()
    for _ in range(5):
        random.seed(0)
        ports.add(free_port())
    assert len(ports) > 1


def test_where_all_are_taken_the_system_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("rendezvous_core.ports.serving._RANGE", [port] * 100)
        assert free_port() != port


def test_an_address_of_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked up once: that of a name may take a while."""
    asked, create = [], socket.create_server

    def counted(*arguments: Any, **options: Any) -> socket.socket:
        asked.append(arguments)
        return create(*arguments, **options)

    monkeypatch.setattr(socket, "create_server", counted)
    with pytest.raises(OSError, match="assign"):
        free_port("192.0.2.1")
    assert len(asked) == 1
