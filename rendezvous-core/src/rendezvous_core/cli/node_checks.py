"""What ``rdzv doctor`` checks of this node: its address, its clock, and who speaks with whom."""

import platform
import socket
import time
from collections.abc import Sequence

from rendezvous_core.cli.checkup import Finding
from rendezvous_core.plugins.loading import installed_backends
from rendezvous_core.ports.addresses import LocalAddress, address_towards, is_loopback, resolves
from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.ports.errors import RendezvousError

_ADVICE = "Give each node an address that all others reach: --local-addr, in Python local_addr=."
_FAR = 1.0
"""Seconds by which clocks may differ before people are told: heartbeats are then shown with wrong ages."""


def address_finding(chosen: str | None, hosts: Sequence[str] | None) -> Finding:
    """Tell which address this node will publish, and whether others can use it."""
    name = "address for others"
    found = LocalAddress(chosen, "as --local-addr says") if chosen else address_towards(hosts)
    text = f"{found.address}: {found.reason}"
    if not resolves(found.address):
        return Finding(name, False, None, f"{text}, which this machine cannot resolve", _ADVICE)
    if is_loopback(found.address):
        elsewhere = [host for host in hosts or () if not is_loopback(host)]
        if elsewhere:
            problem = f"{text}, which leads each machine to itself, while the backend is at {elsewhere[0]}"
            return Finding(name, False, None, problem, _ADVICE)
        return Finding(name, True, None, f"{text}; only nodes of this machine can use it")
    try:
        _knock(found.address)
    except OSError:
        text += "; no interface of this machine has it, so others must be led here from it"
    return Finding(name, True, None, text)


def server_findings(backend: RendezvousBackend) -> list[Finding]:
    """Tell the versions of all that is involved, and how far the server's clock is from this node's."""
    owners = {each.name: f"{each.distribution} {each.version}" for each in installed_backends()}
    own = dict.fromkeys([owners["sqlite"], owners.get(backend.name, "")])
    here = ", ".join(filter(None, own)) + f"; Python {platform.python_version()}"
    before = time.time()
    try:
        facts = backend.server_facts()
    except RendezvousError as error:
        return [Finding("versions", True, None, f"{here}; the server does not tell its own: {error}")]
    after = time.time()
    if facts is None:
        return [Finding("versions", True, None, f"{here}; this backend does not tell the server's")]
    findings = [Finding("versions", True, None, f"{here}; {facts.server} by {facts.client}")]
    if facts.clock is not None:
        precision = facts.precision + (after - before) / 2
        findings.append(_clock_finding((before + after) / 2 - facts.clock, precision))
    return findings


def _clock_finding(ahead: float, precision: float) -> Finding:
    if abs(ahead) <= precision:
        text = f"as the server's, within {_duration(precision)}"
    else:
        way = "ahead of" if ahead > 0 else "behind"
        text = f"{_duration(abs(ahead))} {way} the server's, give or take {_duration(precision)}"
    if abs(ahead) - precision > _FAR:
        text += "; no decision depends on it, but ages of heartbeats are shown wrong: set the clock (NTP)"
    return Finding("clock", True, None, text, offset=ahead)


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _knock(address: str) -> None:
    """Listen at ``address`` and connect to it."""
    family = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0][0]
    with (
        socket.create_server((address, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2], timeout=2.0),
    ):
        pass
