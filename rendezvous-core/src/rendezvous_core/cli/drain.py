"""``rdzv drain``."""

import json
from contextlib import closing

import click

from rendezvous_core.cli.exit_codes import ExitCode, fail
from rendezvous_core.cli.look import NodeLook, RunLook
from rendezvous_core.cli.lookout import Lookout
from rendezvous_core.cli.options import Target, backend_options, no_run, output_options, run_id_option
from rendezvous_core.registry import get_rendezvous_handler


@click.command()
@backend_options
@run_id_option(required=True)
@click.option("--host", help="All nodes of this machine, by its host name or address.")
@click.option(
    "--deadline",
    type=click.FloatRange(0.001, 86_400),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Until when they go at the latest.",
)
@output_options
@click.argument("node", required=False)
def drain(
    backend: str,
    endpoint: str,
    conf: str,
    run_id: str,
    host: str | None,
    deadline: float,
    as_json: bool,
    node: str | None,
) -> int:
    """Have NODE, or all nodes of a host, leave a run that goes on without them.

    NODE is an id, or the beginning of one, as rdzv status shows it. All participants are told at once, and
    have until the deadline to save their work together.
    """
    if (node is None) == (host is None):
        raise click.UsageError("Say who is to go: NODE, as rdzv status shows it, or --host.")
    target = Target(backend, endpoint, run_id, conf)
    with closing(Lookout(target.look_params())) as lookout:
        look = lookout.look()
    if look is None:
        return no_run(target)
    found = {each.node: each for each in _present(look) if _is_meant(each, node, host)}
    if not found:
        who = f"of the host '{host}'" if host else f"whose id begins with '{node}'"
        there = ", ".join(f"{each.node[:8]} on {each.place}" for each in _present(look)) or "none at all"
        return fail(ExitCode.USAGE, f"The run '{run_id}' has no node {who}; there is {there}.")
    if node is not None and len(found) > 1:
        ids = ", ".join(found)
        return fail(ExitCode.USAGE, f"'{node}' is the beginning of several ids: {ids}. Give more of one.")
    if not get_rendezvous_handler(target.look_params()).drain(deadline, found):
        return fail(ExitCode.UNREACHABLE, f"The run '{run_id}' could not be told; nobody drains.")
    if as_json:
        click.echo(json.dumps({"run_id": run_id, "draining": list(found), "deadline": deadline}))
    else:
        for each in found.values():
            click.echo(f"The node {each.node[:8]} on {each.place} leaves within {deadline:g} s.")
    return ExitCode.OK


def _present(look: RunLook) -> list[NodeLook]:
    return look.those("active", "silent", "waiting")


def _is_meant(look: NodeLook, node: str | None, host: str | None) -> bool:
    return look.node.startswith(node) if node is not None else host in (look.host, look.address)
