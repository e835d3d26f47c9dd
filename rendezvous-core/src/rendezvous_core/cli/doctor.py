"""``rdzv doctor``."""

import json
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, replace
from functools import partial

import click

from rendezvous_core.cli.checkup import CHECKS, Broken, Finding, Patient, Times, check_meeting
from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.cli.node_checks import address_finding, server_findings
from rendezvous_core.cli.options import Target, backend_options, output_options
from rendezvous_core.plugins.loading import RendezvousPluginError
from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousError
from rendezvous_core.ports.limits import check_address

_REACH, _MEET = "reach the backend", "two nodes meet"
_WIDTH = max(len(name) for name in (_REACH, _MEET, *(name for name, *_ in CHECKS)))

_Busy = Callable[[str], AbstractContextManager[object]]
"""Shows what is under way."""


@click.command()
@backend_options
@click.option("--local-addr", help="Check this address of the node, as given to rdzv run.")
@output_options
def doctor(backend: str, endpoint: str, conf: str, local_addr: str | None, as_json: bool) -> int:
    """Check this node, and that a backend can be reached, keeps its promises, and how fast.

    What a group relies on is tried in a scratch run.
    """
    target = Target(backend, endpoint, f"doctor-{secrets.token_hex(4)}", conf)
    address = check_address(local_addr)
    findings: list[Finding] = []
    tell, busy = (lambda finding: None, _idle) if as_json else _display()
    for finding in _findings(target, address, busy):
        findings.append(finding)
        tell(finding)
    healthy = all(finding.ok for finding in findings)
    if as_json:
        listed = [asdict(finding) for finding in findings]
        click.echo(json.dumps({"backend": backend, "healthy": healthy, "checks": listed}))
    return ExitCode.OK if healthy else ExitCode.UNHEALTHY


def _findings(target: Target, address: str | None, busy: _Busy) -> Iterator[Finding]:
    """Check one thing after the other. What a fault brings about is not told as another one."""
    try:
        with busy(_REACH):
            patient = Patient(target.look_params())
    except RendezvousPluginError:
        raise
    except RendezvousError as error:
        yield Finding(_REACH, False, None, str(error))
        return
    healthy = True
    with closing(patient):
        yield Finding(_REACH, True)
        yield address_finding(address, patient.backends[0].hosts)
        yield from server_findings(patient.backends[0])
        for name, check, remedy in CHECKS:
            with busy(name):
                finding, is_gone = _tried(name, partial(check, patient), remedy)
            yield finding
            healthy = healthy and finding.ok
            if is_gone:
                return
        try:
            patient.clean_up()
        except RendezvousError as error:
            yield Finding("clean up", False, None, str(error), f"Remove the run '{target.run_id}'.")
    if healthy:
        pair = replace(target, run_id=f"{target.run_id}-pair").params((2, 2), address, join_timeout="10")
        with busy(_MEET):
            finding, _ = _tried(_MEET, partial(check_meeting, pair), "")
        yield finding


def _tried(name: str, check: Callable[[], Times], remedy: str) -> tuple[Finding, bool]:
    """Make a check; return what was found, and whether the backend is out of reach now.

    Only of what answers wrongly the remedy is ours: errors name their own.
    """
    try:
        return Finding(name, True, check()), False
    except Broken as error:
        return Finding(name, False, None, str(error), remedy), False
    except RendezvousError as error:
        return Finding(name, False, None, str(error)), isinstance(error, RendezvousConnectionError)


def _idle(name: str) -> AbstractContextManager[object]:
    return nullcontext()


def _display() -> tuple[Callable[[Finding], None], _Busy]:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)

    def tell(finding: Finding) -> None:
        mark = ("ok   ", "green") if finding.ok else ("fails", "bold red")
        times = ", ".join(f"{name} {took * 1000:.2f} ms" for name, took in (finding.took or {}).items())
        told = Text.assemble(mark, f"  {finding.check:<{_WIDTH}}  {times}{finding.text or ''}")
        told.rstrip()
        console.print(told)
        if finding.remedy:
            console.print(Text(f"{'':{_WIDTH + 9}}{finding.remedy}", "dim"))

    return tell, (lambda name: console.status(f"{name} ...")) if sys.stdout.isatty() else _idle
