"""``rdzv history``: what happened to a run, as its coordinators put it down."""

import json
from contextlib import closing
from typing import Any

import click
import msgspec

from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.cli.lookout import open_lookout
from rendezvous_core.cli.options import Target, backend_options, no_run, output_options, run_id_option
from rendezvous_core.cli.telling import Line, tell
from rendezvous_core.dynamic.history import Happening


@click.command()
@backend_options
@run_id_option(required=True)
@output_options
def history(backend: str, endpoint: str, conf: str, run_id: str, as_json: bool) -> int:
    """Show the last events of a run: who came, who was lost or left, and when. Takes no part in it."""
    target = Target(backend, endpoint, run_id, conf)
    with closing(open_lookout(target.look_params())) as lookout:
        events = lookout.history()
        if not events and lookout.look() is None:
            return no_run(target)
    lines = list(tell(events))
    if as_json:
        told = [_plain(event, line) for event, line in zip(events, lines, strict=True)]
        click.echo(json.dumps({"run_id": run_id, "events": told}))
    elif not lines:
        click.echo(f"Nothing is put down of the run '{run_id}'.")
    else:
        from rendezvous_core.cli.tables import history_table, print_table

        print_table(history_table(lines))
    return ExitCode.OK


def _plain(event: Happening, line: Line) -> dict[str, Any]:
    """What programs get: no field is left out."""
    told = {name: msgspec.to_builtins(getattr(event, name)) for name in event.__struct_fields__}
    nodes = [{name: getattr(each, name) for name in each.__struct_fields__} for each in event.nodes]
    return {**told, "nodes": nodes, "text": line.text}
