"""``rdzv run``."""

import math
import os
import secrets
import shutil

import click

from rendezvous_core.cli.agent import Agent, Job
from rendezvous_core.cli.environment import run_environment
from rendezvous_core.cli.exit_codes import ExitCode, fail
from rendezvous_core.cli.hint import watch_command
from rendezvous_core.cli.options import NodeRange, Target, backend_options, output_options, run_id_option
from rendezvous_core.cli.output import Output, create_output
from rendezvous_core.cli.seat import Place
from rendezvous_core.cli.spawn import Nodes
from rendezvous_core.cli.suggestions import suggest_commands
from rendezvous_core.dynamic.handler import DynamicRendezvousHandler
from rendezvous_core.plugins.loading import load_export
from rendezvous_core.records.member import counted
from rendezvous_core.registry import create_backend, get_rendezvous_handler

_LAST_CALL = "2"
"""Seconds, where the whole group is on this machine and nobody comes late."""


def _no_nan(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):  # which no range of click's refuses
        raise click.BadParameter("nan is not a number of seconds.")
    return value


@click.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@backend_options
@run_id_option(required=False)
@click.option("--nodes", type=NodeRange(), metavar="N|MIN:MAX", help="How many nodes make a group.")
@click.option("--spawn", type=click.IntRange(1), help="Start this many nodes here, each on its own.")
@click.option("--max-restarts", type=click.IntRange(0), default=0, show_default=True, help="For failures.")
@click.option(
    "--grace",
    type=click.FloatRange(0, 86_400),
    callback=_no_nan,
    default=15,
    show_default=True,
    help="Seconds from a signal to the command until it is killed.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0.001, 86_400),
    callback=_no_nan,
    metavar="SECONDS",
    help="On SIGTERM tell the group that this node goes within so long, instead of ending at once.",
)
@click.option("--signal-group", is_flag=True, help="Signal also what the command has started.")
@click.option("--local-addr", help="Where the others reach this node.")
@click.option(
    "--export",
    "exports",
    multiple=True,
    metavar="jax|tensorflow|torch|...",
    help="Give the command also the variables that this framework looks for.",
)
@click.option("--spawned-as", type=int, nargs=2, hidden=True)
@output_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, shell_complete=suggest_commands)
def run(
    backend: str,
    endpoint: str,
    conf: str,
    run_id: str,
    nodes: tuple[int, int] | None,
    spawn: int | None,
    max_restarts: int,
    grace: float,
    drain: float | None,
    signal_group: bool,
    local_addr: str | None,
    exports: tuple[str, ...],
    spawned_as: tuple[int, int] | None,
    as_json: bool,
    command: tuple[str, ...],
) -> int:
    """Join a group of nodes and run COMMAND in it; run it again when the group changes.

    With --spawn alone, the whole group is on this machine, under a fresh run id. A node that is
    interrupted leaves, and the others go on without it.
    """
    if shutil.which(command[0]) is None:
        if os.path.exists(command[0]):
            return fail(ExitCode.NOT_EXECUTABLE, f"{command[0]!r} is not executable.")
        return fail(ExitCode.NOT_FOUND, f"{command[0]!r} was not found.")
    target = Target(backend, endpoint, run_id, conf)
    for name in exports:
        load_export(name)
    job = Job(command, max_restarts, grace, signal_group, exports, drain)
    output = create_output(as_json=as_json)
    if spawn is not None:
        return _spawn(spawn, target, nodes, job, local_addr, output)
    if not run_id:
        raise click.UsageError("Give the run an id that all its nodes share: --run-id, or RDZV_RUN_ID.")
    if nodes is None:
        raise click.UsageError("Say how many nodes make a group, as in --nodes 4 or --nodes 2:4.")
    params = target.params(nodes, local_addr)
    handler = get_rendezvous_handler(params)
    if not isinstance(handler, DynamicRendezvousHandler):
        raise click.UsageError(f"The backend '{backend}' has no members that come and go; use another.")
    return Agent(handler, params, job, output, Place(*spawned_as) if spawned_as else None).run()


def _spawn(
    number: int,
    target: Target,
    nodes: tuple[int, int] | None,
    job: Job,
    local_addr: str | None,
    output: Output,
) -> int:
    defaults = {}
    if nodes is None:
        # All start together, so the first round has them all whatever the minimum; and with the
        # least possible minimum, whoever is left can go on.
        nodes = 1, number
        defaults["last_call_timeout"] = _LAST_CALL
        local_addr = local_addr or "127.0.0.1"
    run_id = target.run_id or f"spawn-{secrets.token_hex(3)}"
    target = Target(target.backend, target.endpoint, run_id, target.conf)
    params = target.params(nodes, local_addr, **defaults)
    create_backend(params).close()  # what is wrong with it is said once, not by every node
    arguments = [
        "--json",
        f"--nodes={nodes[0]}:{nodes[1]}",
        f"--max-restarts={job.max_restarts}",
        f"--grace={job.grace}",
        *([f"--drain={job.drain}"] if job.drain else []),
        *(["--signal-group"] if job.signals_group else []),
        *(f"--export={name}" for name in job.exports),
        *([f"--local-addr={local_addr}"] if local_addr else []),
        "--",
        *job.command,
    ]
    text = f"{counted(number)} in the run {run_id}; see them with: {watch_command(target, params)}"
    output.tell("spawned", text, run_id=run_id)
    return Nodes(number, arguments, run_environment(params), output).run()
