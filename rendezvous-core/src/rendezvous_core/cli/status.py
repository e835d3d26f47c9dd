"""``rdzv status``, ``rdzv watch`` and ``rdzv close``: a run from outside."""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace

import click

from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.cli.look import RunLook, time_of_day
from rendezvous_core.cli.lookout import open_lookout
from rendezvous_core.cli.options import Target, backend_options, no_run, output_options, run_id_option
from rendezvous_core.cli.runs import show_runs
from rendezvous_core.cli.telling import Line, tell
from rendezvous_core.ports.errors import RendezvousConnectionError
from rendezvous_core.registry import get_rendezvous_handler

_PERIOD = 1.0
"""After how many seconds a run is looked at again, even if nothing was announced."""


@click.command()
@backend_options
@run_id_option(required=False)
@output_options
@click.option("--all", "every", is_flag=True, help="Show a row for each node, also of more than 64.")
def status(backend: str, endpoint: str, conf: str, run_id: str, as_json: bool, every: bool) -> int:
    """Show a run: who is in, who is gone and why, who waits, who is missing. Takes no part in it.

    Without a run id, all runs are listed.
    """
    target = Target(backend, endpoint, run_id, conf)
    if not run_id:
        return show_runs(target, as_json=as_json)
    with closing(open_lookout(target.look_params())) as lookout:
        look = lookout.look()
    if look is None:
        return no_run(target)
    if as_json:
        click.echo(json.dumps(asdict(look)))
    else:
        from rendezvous_core.cli.tables import print_table, run_table

        print_table(run_table(look, every=every))
    return ExitCode.OK


@click.command()
@backend_options
@run_id_option(required=True)
@output_options
def watch(backend: str, endpoint: str, conf: str, run_id: str, as_json: bool) -> int:
    """Follow a run until it is closed; one that does not exist yet is waited for."""
    target = Target(backend, endpoint, run_id, conf)
    with (
        closing(open_lookout(target.look_params(), waits=True)) as lookout,
        closing(_display(as_json)) as display,
    ):
        look = lookout.look()
        if look is None:
            display.tell(f"There is no run '{run_id}' on the backend '{backend}' yet.")
        while True:
            if look is not None:
                display.show(look, list(tell(lookout.events)))
                if look.phase == "closed":
                    return ExitCode.OK
            try:
                lookout.wait(_PERIOD)
                look = lookout.look()
            except RendezvousConnectionError as error:
                display.tell(str(error))
                time.sleep(_PERIOD)


def _display(as_json: bool) -> "_LiveDisplay | _Lines":
    return _LiveDisplay() if sys.stdout.isatty() and not as_json else _Lines(as_json)


class _Lines:
    """A line for every change."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._shown: RunLook | None = None

    def tell(self, text: str) -> None:
        click.echo(text, err=True)

    def show(self, look: RunLook, history: Sequence[Line]) -> None:
        nodes = tuple(replace(node, heartbeat_age=None) for node in look.nodes)
        timeless = replace(look, nodes=nodes, age=None, heard=None)
        if timeless != self._shown:
            self._shown = timeless
            click.echo(json.dumps(asdict(look)) if self._as_json else f"{time_of_day(time.time())} {look}")

    def close(self) -> None:
        pass


class _LiveDisplay:
    """A table that is always of now."""

    def __init__(self) -> None:
        from rich.live import Live

        self._live = Live(auto_refresh=False)
        self._live.start()

    def tell(self, text: str) -> None:
        self._live.update(text, refresh=True)

    def show(self, look: RunLook, history: Sequence[Line]) -> None:
        from rendezvous_core.cli.tables import run_table

        self._live.update(run_table(look, history), refresh=True)

    def close(self) -> None:
        self._live.stop()


@click.command()
@backend_options
@run_id_option(required=True)
@output_options
def close(backend: str, endpoint: str, conf: str, run_id: str, as_json: bool) -> int:
    """Close a run for all its nodes, finally. Those in the present round may finish their work."""
    target = Target(backend, endpoint, run_id, conf)
    with closing(open_lookout(target.look_params())) as lookout:
        if lookout.look() is None:
            return no_run(target)
    get_rendezvous_handler(target.look_params()).set_closed()
    click.echo(
        json.dumps({"run_id": run_id, "closed": True}) if as_json else f"The run '{run_id}' is closed."
    )
    return ExitCode.OK
