"""``rdzv backends``."""

import json

import click

from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.cli.options import output_options
from rendezvous_core.plugins.loading import installed_backends
from rendezvous_core.registry import PROVIDERS


@click.command()
@output_options
def backends(as_json: bool) -> int:
    """List the backends that are installed, and how to install the others."""
    installed = installed_backends()
    names = {backend.name for backend in installed}
    missing = {name: f"pip install {provider}" for name, provider in PROVIDERS.items() if name not in names}
    if as_json:
        listed = [backend._asdict() for backend in installed]
        click.echo(json.dumps({"installed": listed, "missing": missing}))
        return ExitCode.OK
    from rendezvous_core.cli.tables import plain_table, print_table

    table = plain_table(("backend", "distribution", "version"))
    for backend in installed:
        claims = sum(other.name == backend.name for other in installed)
        note = "  claimed twice: uninstall one" if claims > 1 else ""
        table.add_row(backend.name, backend.distribution, backend.version + note)
    for name, remedy in missing.items():
        table.add_row(name, f"not installed: {remedy}", "", style="dim")
    print_table(table)
    return ExitCode.OK
