"""``rdzv runs`` and ``rdzv delete``: all runs of a backend, and the end of one."""

import json
from contextlib import closing
from dataclasses import asdict

import click

from rendezvous_core.cli.exit_codes import ExitCode, fail
from rendezvous_core.cli.look import RunLook
from rendezvous_core.cli.lookout import ListLookout, Lookout, look_at_runs, open_lookout
from rendezvous_core.cli.options import Target, backend_options, no_run, output_options, run_id_option
from rendezvous_core.ports.errors import RendezvousStateError
from rendezvous_core.registry import get_rendezvous_handler, open_runs


@click.command()
@backend_options
@output_options
def runs(backend: str, endpoint: str, conf: str, as_json: bool) -> int:
    """List the runs of a backend, also closed ones until they expire. Takes part in none."""
    return show_runs(Target(backend, endpoint, "", conf), as_json=as_json)


def show_runs(target: Target, *, as_json: bool) -> int:
    """List all runs at the target's endpoint."""
    looks = look_at_runs(target.look_params())
    if as_json:
        click.echo(json.dumps({"runs": [asdict(look) for look in looks]}))
    elif not looks:
        click.echo(f"There are no runs on {target.where}.")
    else:
        from rendezvous_core.cli.tables import print_table, runs_table

        print_table(runs_table(looks))
    return ExitCode.OK


@click.command()
@backend_options
@run_id_option(required=True)
@click.option("--force", is_flag=True, help="Also one in which nodes are at work, or that cannot be read.")
@output_options
def delete(backend: str, endpoint: str, conf: str, run_id: str, force: bool, as_json: bool) -> int:
    """Remove all that is stored of a run, so that its id is as new.

    Refused while anybody in it lives, which takes as long to find out as a node may be silent.
    """
    target = Target(backend, endpoint, run_id, conf)
    look = None
    with open_runs(target.look_params()) as stored:
        if run_id not in stored.read():
            if force:
                stored.delete(run_id)  # what is left of it, where nothing says that it was a run
            return no_run(target)
        try:
            with closing(open_lookout(target.look_params())) as lookout:
                look = lookout.look()
                if not force and (living := _find_life(lookout, run_id)):
                    return fail(ExitCode.IN_USE, _in_use(living))
                if look is not None and look.phase != "closed":
                    # Whoever has seen it closed does not bring back what it knew before.
                    get_rendezvous_handler(target.look_params()).set_closed()
                    look = lookout.wait_for_the_waiting()
        except RendezvousStateError as error:
            if not force:
                raise RendezvousStateError(f"{error} 'rdzv delete --force' removes it.") from error
        stored.delete(run_id)
    if as_json:
        click.echo(json.dumps({"run_id": run_id, "deleted": True}))
    else:
        click.echo(f"The run '{run_id}' is deleted.")
        if look is not None and (lively := look.those("active")):
            names = ", ".join(map(str, lively))
            click.echo(f"Whoever still runs may write it again as a closed one: end {names}.")
    return ExitCode.OK


def _find_life(lookout: Lookout | ListLookout, run_id: str) -> RunLook | None:
    text = f"Looking for as long as a node may be silent whether anybody in the run '{run_id}' lives ..."
    return lookout.find_life(lambda: click.echo(text, err=True))


def _in_use(look: RunLook) -> str:
    names = ", ".join(map(str, look.those("active", "waiting"))) or "somebody"
    return (
        f"The run '{look.run_id}' is in use by {names}. Close it with 'rdzv close' and let them end, or "
        "remove it under their feet with 'rdzv delete --force'."
    )
