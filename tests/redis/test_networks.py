"""Rank 0 publishes an address that the others reach, on the networks that people have."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.redis.networks import Host, Network, network

NODE = str(Path(__file__).with_name("network_node.py"))
PATIENCE = 120.0


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as made:
        yield made


def meet(server: Host, endpoint: str, *nodes: tuple[Host, str]) -> list[dict[str, Any]]:
    """Run a Redis on ``server``, and a node on each of the others; return what these say, by rank."""
    address = endpoint.rpartition(":")[0].strip("[]")
    with ExitStack() as stack:
        redis = ["redis-server", "--bind", address, "--protected-mode", "no", "--save", "", "--port", "6379"]
        running = subprocess.Popen(server.command(*redis), stdout=subprocess.PIPE, text=True)
        stack.callback(running.wait, PATIENCE)
        stack.callback(running.terminate)
        assert running.stdout is not None
        assert any("Ready to accept connections" in line for line in running.stdout)
        commands = [host.command(sys.executable, NODE, endpoint, addr) for host, addr in nodes]
        started = [
            subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for each in commands
        ]
        told = []
        for process in started:
            out, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, err
            told.append(json.loads(out.splitlines()[-1]))
    return sorted(told, key=lambda each: int(each["rank"]))


def test_without_any_name_server(net: Network) -> None:
    server, *pair = (net.host(f"n{number}", [f"10.7.0.{number}/24"]) for number in (1, 2, 3))
    zero, one = meet(server, "10.7.0.1:6379", *((host, "") for host in pair))
    assert zero["address"] == one["address"] != "10.7.0.1"
    assert "error" not in one


def test_where_a_machine_is_but_localhost_to_itself(net: Network) -> None:
    """As on images with ``127.0.0.1 localhost myhost``; the backend is there, by a name of that machine's."""
    one = net.host("n1", ["10.7.0.1/24"], "127.0.0.1 localhost db myhost\n")
    two = net.host("n2", ["10.7.0.2/24"], "127.0.0.1 localhost\n10.7.0.1 db\n")
    server = net.host("n3", ["10.7.0.3/24"])
    told = meet(server, "10.7.0.3:6379", (one, ""), (two, ""))
    assert told[0]["address"] in ("10.7.0.1", "10.7.0.2")
    assert "error" not in told[1]


def test_with_two_interfaces_it_is_the_one_towards_the_backend(net: Network) -> None:
    server = net.host("n1", [None, "10.8.0.1/24"])
    pair = [net.host(f"n{number}", [f"10.7.0.{number}/24", f"10.8.0.{number}/24"]) for number in (2, 3)]
    told = meet(server, "10.8.0.1:6379", *((host, "") for host in pair))
    assert told[0]["address"].startswith("10.8.0.")
    assert "error" not in told[1]


def test_with_ipv6_only(net: Network) -> None:
    server, *pair = (net.host(f"n{number}", [f"fd07::{number}/64"]) for number in (1, 2, 3))
    told = meet(server, "[fd07::1]:6379", *((host, "") for host in pair))
    assert told[0]["address"] in ("fd07::2", "fd07::3")
    assert "error" not in told[1]


def test_a_name_that_nobody_else_resolves_is_told_with_the_remedy(net: Network) -> None:
    server, *pair = (net.host(f"n{number}", [f"10.7.0.{number}/24"]) for number in (1, 2, 3))
    told = meet(server, "10.7.0.1:6379", *((host, "pod-7.local") for host in pair))
    assert "cannot resolve 'pod-7.local', the address of rank 0" in told[1]["error"]
    assert "--local-addr" in told[1]["error"]


def test_a_loopback_address_of_another_machine_is_refused_with_the_remedy(net: Network) -> None:
    server, *pair = (net.host(f"n{number}", [f"10.7.0.{number}/24"]) for number in (1, 2, 3))
    told = meet(server, "10.7.0.1:6379", *((host, "localhost") for host in pair))
    assert "leads each machine to itself, and rank 0 is on another" in told[1]["error"]
    assert "--local-addr" in told[1]["error"]
