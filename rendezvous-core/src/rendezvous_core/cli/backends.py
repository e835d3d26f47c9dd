"""``rdzv backends``."""

import json
from collections.abc import Iterable
from dataclasses import asdict

import click

from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.cli.options import output_options
from rendezvous_core.cli.suggestions import suggest_backends
from rendezvous_core.plugins.loading import installed_backends
from rendezvous_core.ports.errors import RendezvousError
from rendezvous_core.ports.options import Option
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.settings import HANDLER_OPTIONS
from rendezvous_core.registry import PROVIDERS, backend_options

_COLUMNS = ("option", "may be", "default", "")


@click.command()
@click.option(
    "--options",
    "chosen",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    shell_complete=suggest_backends,
    help="Show their options.",
)
@output_options
def backends(chosen: str | None, as_json: bool) -> int:
    """List the backends that are installed, and how to install the others; or their options."""
    if chosen is not None:
        return _show_options(chosen, as_json)
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


def option_rows(options: Iterable[Option]) -> list[tuple[str, str, str, str]]:
    """Return what tables show of each option, as Markdown."""
    return [
        (", ".join(f"`{name}`" for name in option.names), option.brief, option.standing, option.help)
        for option in options
    ]


def _show_options(name: str, as_json: bool) -> int:
    """Show the options of the backend ``name``, or of all, those of the handler last."""
    declared: dict[str, tuple[Option, ...] | None] = {}
    failed = {}
    for each in [name] if name else sorted({backend.name for backend in installed_backends()}):
        try:
            declared[each] = backend_options(RendezvousParameters(each, "", "", 1, 1))
        except RendezvousError as error:
            if name:
                raise
            failed[each] = str(error)  # one that is broken does not hide the others
    if as_json:
        known = {
            each: options and [asdict(option) | {"values": option.values} for option in options]
            for each, options in declared.items()
        }
        click.echo(json.dumps({"options": known, "failed": failed}))
        return ExitCode.OK
    of_handler = [option.name for option in HANDLER_OPTIONS]
    for each, options in declared.items():
        if options is None:
            click.echo(f"{each} does not declare its options; those of the handler are known.\n")
        elif own := [option for option in options if option.name not in of_handler]:
            _print_options(each, own)
        elif not name:
            click.echo(f"{each} has none of its own.\n")
    for each, problem in failed.items():
        click.echo(f"{each}: {problem}\n")
    handlers = (
        options for options in declared.values() if options is None or set(HANDLER_OPTIONS) <= {*options}
    )
    if any(True for _ in handlers):
        _print_options(
            "handler, of every backend that has members which come and go" if not name else "handler",
            HANDLER_OPTIONS,
        )
    return ExitCode.OK


def _print_options(title: str, options: Iterable[Option]) -> None:
    from rendezvous_core.cli.tables import plain_table, print_table

    table = plain_table(_COLUMNS)
    for row in option_rows(options):
        table.add_row(*(cell.replace("`", "") for cell in row))
    click.echo(f"{title}:")
    print_table(table)
    click.echo()
