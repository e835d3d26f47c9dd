"""By which address others reach this machine, found out without asking anybody.

The kernel tells from which address a packet to a host would leave; none is sent. Names are no good: what a
machine calls itself is ``localhost`` on many images, or a name that no other machine resolves.
"""

import ipaddress
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_ANYWHERE = ("192.0.2.1", "2001:db8::1")
"""Addresses of nobody, kept for documentation: the way there is the way to everywhere."""


class LocalAddress(NamedTuple):
    """An address of this machine, and why it is this one."""

    address: str
    reason: str


def address_towards(hosts: Sequence[str] | None) -> LocalAddress:
    """Return the address of this machine on its way to ``hosts``, where a backend's servers are.

    Loopback only where the hosts are named as such, or there is no other address; the one that leads
    anywhere where the hosts are unknown (``None``), or cannot be resolved.
    """
    for host in hosts or ():
        if _is_loopback(host):
            own = _source(host) or _source("127.0.0.1") or _source("::1") or host
            return LocalAddress(own, f"the backend is on this machine only, at {host}")
        for address in _resolve(host):
            source = _source(address)
            if source and not is_loopback(source) and not ipaddress.ip_address(source).is_link_local:
                return LocalAddress(source, f"of the interface that leads to the backend at {host}")
    for address in _ANYWHERE:
        if source := _source(address):
            return LocalAddress(source, "of the interface that leads to other networks")
    loopback = _source("127.0.0.1") or "::1"
    return LocalAddress(loopback, "this machine has no other address than loopback")


def is_loopback(address: str) -> bool:
    """Whether ``address``, or all that the name resolves to, is of loopback interfaces."""
    found = list(_resolve(address))
    return bool(found) and all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in found)


def resolves(address: str) -> bool:
    """Whether this machine can make out where ``address`` is."""
    return any(True for _ in _resolve(address))


def loopback_id() -> str:
    """Name the loopback interface of this process: machine, boot and network namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/net').st_ino}"
    except OSError:
        return socket.gethostname()


def _is_loopback(host: str) -> bool:
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _resolve(host: str) -> Iterator[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    for *_, address in found:
        yield str(address[0])


def _source(address: str) -> str | None:
    """From where a packet to ``address`` would leave; ``None`` if there is no way."""
    try:
        target = socket.getaddrinfo(address, 9, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0]
        with socket.socket(target[0], socket.SOCK_DGRAM) as probe:
            probe.connect(target[4])
            return str(probe.getsockname()[0])
    except (OSError, UnicodeError):
        return None
