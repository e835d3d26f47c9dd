"""Servers of torch that listen where they must, and nowhere else."""

import errno
import ipaddress
import socket
from collections.abc import Iterable
from datetime import timedelta

from torch.distributed import TCPStore

from rendezvous_c10d._locality import can_bind

_BACKLOG = 4096
"""How many nodes may knock at once; the kernel takes its own limit where that is lower."""


def address_for(host: str) -> str:
    """Return the address of this machine that others mean by ``host``; empty where that is not certain.

    It is not where a name leads to several addresses, or to loopback though it is no name for that: on
    many machines /etc/hosts has their own name so, and other machines are led elsewhere.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ""
    ours = list(
        dict.fromkeys(
            str(address[0])
            for family, *_, address in found
            if can_bind(family, (address[0], 0, *address[2:]))
        )
    )
    if _is_address(host):
        return ours[0] if ours else ""
    if host.rstrip(".").lower() in ("localhost", "localhost.localdomain") or host.endswith(".localhost"):
        return min(ours, key=lambda address: ":" in address, default="")
    return ours[0] if len(ours) == 1 and not ipaddress.ip_address(ours[0]).is_loopback else ""


def host_store(address: str, ports: Iterable[int], timeout: timedelta | None = None) -> TCPStore:
    """Host a TCPStore at the first of ``ports`` (0: any) that is free at ``address`` of this machine.

    With an empty address it listens at all of them.

    Raises:
        OSError: no port is free (its ``errno`` is ``EADDRINUSE``), or the address cannot be used.
    """
    taken = OSError(errno.EADDRINUSE, "no port is given")
    for port in ports:
        try:
            return _host_at(address, port, {} if timeout is None else {"timeout": timeout})
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            taken = error
    raise taken


def free_port(address: str, ports: Iterable[int]) -> int:
    """Return the first of ``ports`` (0: any) that is free; raises as `host_store`."""
    taken = OSError(errno.EADDRINUSE, "no port is given")
    for port in ports:
        try:
            with _listen(address, port) as listener:
                return int(listener.getsockname()[1])
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            taken = error
    raise taken


def _host_at(address: str, port: int, options: dict[str, timedelta]) -> TCPStore:
    listener = _listen(address, port)
    port = listener.getsockname()[1]
    # Its own client goes the shortest way, whatever a name means elsewhere.
    return TCPStore(
        address or "localhost",
        port,
        is_master=True,
        wait_for_workers=False,
        master_listen_fd=listener.detach(),
        **options,
    )


def _listen(address: str, port: int) -> socket.socket:
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family, backlog=_BACKLOG)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=_BACKLOG)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
