"""Whether a name or an address means this machine."""

import socket
from typing import NamedTuple


class Verdict(NamedTuple):
    """Whether it does, and why."""

    is_local: bool
    reason: str


def locate(host: str) -> Verdict:
    """Tell whether ``host`` is this machine: any name for any address of any of its interfaces.

    A name counts by what it resolves to, so that aliases do; where it resolves to nothing, it is
    compared with the name of this machine.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if host.rstrip(".").lower() == socket.gethostname().lower():
            return Verdict(True, f"'{host}' is the name of this machine")
        return Verdict(False, f"'{host}' cannot be resolved ({error})")
    addresses = dict.fromkeys(str(address[0]) for *_, address in found)
    for family, *_, address in found:
        if can_bind(family, (address[0], 0, *address[2:])):
            resolves = "" if address[0] == host else f"'{host}' resolves to "
            return Verdict(True, f"{resolves}{address[0]}, an address of this machine")
    resolves = "" if list(addresses) == [host] else f"'{host}' resolves to "
    return Verdict(False, f"{resolves}{', '.join(addresses)}, no address of this machine")


def can_bind(family: int, address: tuple[object, ...]) -> bool:
    """Only addresses of this machine can be bound: the kernel knows all its interfaces."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True
