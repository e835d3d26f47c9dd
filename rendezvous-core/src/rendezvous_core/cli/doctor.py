"""``rdzv doctor``."""

import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace

import click

from rendezvous_core.cli.checkup import CHECKS, Finding, Patient, check_meeting
from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.cli.options import Target, backend_options, output_options
from rendezvous_core.plugins.loading import RendezvousPluginError
from rendezvous_core.ports.addresses import address_towards
from rendezvous_core.ports.errors import RendezvousError


@click.command()
@backend_options
@output_options
def doctor(backend: str, endpoint: str, conf: str, as_json: bool) -> int:
    """Check that a backend can be reached, keeps its promises, and how fast; in a scratch run."""
    findings = list(_findings(Target(backend, endpoint, f"doctor-{secrets.token_hex(4)}", conf)))
    healthy = all(finding.ok for finding in findings)
    if as_json:
        listed = [asdict(finding) for finding in findings]
        click.echo(json.dumps({"backend": backend, "healthy": healthy, "checks": listed}))
    else:
        _print(findings)
    return ExitCode.OK if healthy else ExitCode.UNHEALTHY


def _findings(target: Target) -> Iterator[Finding]:
    try:
        patient = Patient(target.look_params())
    except RendezvousPluginError:
        raise
    except RendezvousError as error:
        remedy = "Does it run, is the endpoint right, and are the user and password in RDZV_CONF?"
        yield Finding("reach the backend", False, None, str(error), remedy)
        return
    yield Finding("reach the backend", True, None)
    found = address_towards(patient.backends[0].hosts)
    yield Finding("address for others", True, None, f"{found.address}: {found.reason}")
    with closing(patient):
        for name, check, remedy in CHECKS:
            try:
                yield Finding(name, True, check(patient))
            except RendezvousError as error:
                yield Finding(name, False, None, str(error), remedy)
        try:
            patient.clean_up()
        except RendezvousError as error:
            yield Finding("clean up", False, None, str(error), f"Remove the run '{target.run_id}'.")
    try:
        params = replace(target, run_id=f"{target.run_id}-pair").params((2, 2), join_timeout="10")
        yield Finding("two nodes meet", True, check_meeting(params))
    except RendezvousError as error:
        yield Finding("two nodes meet", False, None, str(error), "Mend what is wrong above.")


def _print(findings: list[Finding]) -> None:
    from rich.text import Text

    from rendezvous_core.cli.tables import plain_table, print_table

    table = plain_table(("", "check", "median", ""))
    for finding in findings:
        mark = Text("ok", "green") if finding.ok else Text("fails", "bold red")
        took = "" if finding.seconds is None else f"{finding.seconds * 1000:.2f} ms"
        table.add_row(mark, finding.check, took, Text(finding.problem or ""))
        if finding.remedy:
            table.add_row("", "", "", Text(finding.remedy, "dim"))
    print_table(table)
