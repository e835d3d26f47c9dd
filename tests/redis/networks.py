"""Hosts of a network of its own: network namespaces on one bridge."""

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_numbers = itertools.count()


class Host:
    """One machine, with its interfaces, its hosts file, and no name server."""

    def __init__(self, name: str) -> None:
        self.name = name

    def command(self, *words: str) -> list[str]:
        """What runs ``words`` on this machine."""
        return ["ip", "netns", "exec", self.name, *words]

    def cut(self) -> None:
        """Take it off its first network."""
        _ip("-n", self.name, "link", "set", "eth0", "down")

    def mend(self) -> None:
        """Put it back."""
        _ip("-n", self.name, "link", "set", "eth0", "up")


class Network:
    """Machines that reach each other by the addresses they are given."""

    def __init__(self) -> None:
        self._prefix = f"rdzv{os.getpid()}x{next(_numbers)}"
        self._hosts: list[Host] = []
        self._switch = self._namespace("switch")

    def _namespace(self, name: str) -> Host:
        host = Host(f"{self._prefix}{name}")
        # What lies here is put over the files in /etc for commands in the namespace.
        files = Path("/etc/netns") / host.name
        files.mkdir(parents=True)
        (files / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        (files / "resolv.conf").write_text("")
        (files / "nsswitch.conf").write_text("hosts: files\n")
        self._hosts.append(host)
        _ip("netns", "add", host.name)
        _ip("-n", host.name, "link", "set", "lo", "up")
        return host

    def host(self, name: str, addresses: Sequence[str | None], hosts: str = "") -> Host:
        """Add a machine with one interface for each of ``addresses``, to a bridge of its own each.

        ``hosts`` are the lines of its hosts file.
        """
        host = self._namespace(name)
        if hosts:
            (Path("/etc/netns") / host.name / "hosts").write_text(hosts)
        for number, address in enumerate(addresses):
            if address is None:
                continue
            bridge, inside = f"br{number}", f"eth{number}"
            outside = f"v{len(self._hosts)}x{number}"
            with suppress(subprocess.CalledProcessError):  # it is there already
                _ip("-n", self._switch.name, "link", "add", bridge, "type", "bridge")
            _ip("-n", self._switch.name, "link", "set", bridge, "up")
            end = ["peer", "name", inside, "netns", host.name]
            _ip("-n", self._switch.name, "link", "add", outside, "type", "veth", *end)
            _ip("-n", self._switch.name, "link", "set", outside, "master", bridge, "up")
            flags = ["nodad"] if ":" in address else []
            _ip("-n", host.name, "addr", "add", address, "dev", inside, *flags)
            _ip("-n", host.name, "link", "set", inside, "up")
        return host

    def close(self) -> None:
        """Remove all machines."""
        for host in self._hosts:
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", host.name)
            shutil.rmtree(Path("/etc/netns") / host.name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=60)


@contextmanager
def network() -> Iterator[Network]:
    """A network that is removed afterwards; needs root and iproute2, which CI has."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        problem = "network namespaces need root and the command ip (of iproute2)"
        pytest.fail(problem) if os.environ.get("CI") else pytest.skip(problem)
    made = Network()
    try:
        yield made
    finally:
        made.close()
