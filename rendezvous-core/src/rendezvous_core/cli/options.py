"""The options that several commands share."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast

import click

from rendezvous_core.cli.environment import BACKEND, CONF, ENDPOINT, RUN_ID
from rendezvous_core.cli.exit_codes import ExitCode, fail
from rendezvous_core.cli.suggestions import suggest_backends, suggest_options, suggest_runs
from rendezvous_core.ports.endpoint import parse_config
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.redaction import redact, shown
from rendezvous_core.registry import backend_of
from rendezvous_core.sqlite.path import described_default

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OWN_OPTIONS = ("backend", "endpoint", "run_id", "min_nodes", "max_nodes", "local_addr")

_FILES = (".db", ".sqlite", ".sqlite3")
"""How names end that are not those of hosts."""

_LOOK_PATIENCE = "5"
"""Seconds for which a server that is not there is waited for by those who only look."""


@dataclass(frozen=True)
class Target:
    """The backend and the run that a command is about."""

    backend: str
    endpoint: str
    run_id: str
    conf: str

    @property
    def place(self) -> str:
        """The endpoint for people, or the default of ``sqlite``; empty where the backend knows it alone."""
        return described_default() if not self.endpoint and self.backend == "sqlite" else self.endpoint

    @property
    def where(self) -> str:
        """Which backend it is and where, for people."""
        return f"the backend '{self.backend}'" + (f" at {redact(place)}" if (place := self.place) else "")

    def params(
        self, nodes: tuple[int, int] = (1, 1), local_addr: str | None = None, **defaults: str
    ) -> RendezvousParameters:
        """Return the parameters of a handler; ``--conf`` wins over ``defaults``."""
        config: dict[str, Any] = {**defaults, **parse_config(self.conf)}
        for name in _OWN_OPTIONS:
            if name in config:
                raise click.UsageError(f"--conf cannot hold '{name}': it has an option of its own.")
        return RendezvousParameters(self.backend, self.endpoint, self.run_id, *nodes, local_addr, **config)

    def look_params(self) -> RendezvousParameters:
        """Return the parameters of one who only looks, and soon wants to know that nobody answers."""
        return self.params(join_timeout=_LOOK_PATIENCE)


def no_run(target: Target) -> ExitCode:
    """Say that there is no run of the id that was given."""
    return fail(ExitCode.NO_RUN, f"There is no run '{target.run_id}' on {target.where}.")


class NodeRange(click.ParamType[tuple[int, int]]):
    """``N`` or ``MIN:MAX``."""

    name = "nodes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """See base class."""
        if isinstance(value, tuple):
            return value
        least, colon, most = str(value).partition(":")
        try:
            nodes = int(least), int(most if colon else least)
        except ValueError:
            self.fail(f"{value!r} must be a number of nodes, as 4, or a range, as 2:4.", param, ctx)
        if not 1 <= nodes[0] <= nodes[1]:
            self.fail(f"{value!r} must be at least 1, and its end not below its start.", param, ctx)
        return nodes


def backend_options(command: _Command) -> _Command:
    """Add the options that say which backend; see `Target`. Without one the endpoint's scheme may say it."""

    @wraps(command)
    def call(*, backend: str | None, endpoint: str, **others: Any) -> Any:
        return command(backend=backend or _implied(endpoint), endpoint=endpoint, **others)

    for option in (
        click.option(
            "--conf",
            envvar=CONF,
            default="",
            metavar="K=V,...",
            shell_complete=suggest_options,
            help="Options of the handler and of the backend. Keep passwords in $RDZV_CONF.",
        ),
        click.option(
            "--endpoint",
            envvar=ENDPOINT,
            default="",
            help="Where the backend is; the default is the backend's own.  [env: RDZV_ENDPOINT]",
        ),
        click.option(
            "--backend",
            envvar=BACKEND,
            shell_complete=suggest_backends,
            help="Name of the backend.  [env: RDZV_BACKEND; default: the endpoint's scheme, else sqlite]",
        ),
    ):
        call = option(call)
    return cast(_Command, call)


def _implied(endpoint: str) -> str:
    """Return the backend that ``endpoint`` means by itself. A bare name is rather a host's than a file's."""
    if backend := backend_of(endpoint):
        return backend
    bare = endpoint and not any(mark in endpoint for mark in ("/", ":"))
    if bare and not endpoint.endswith(_FILES) and not os.path.exists(endpoint):
        raise click.UsageError(
            f"Which backend is at {shown(endpoint)}? Name it with --backend, as 'rdzv backends' lists them; "
            f"for a file of sqlite write --endpoint ./{redact(endpoint)}"
        )
    return "sqlite"


def run_id_option(*, required: bool) -> Callable[[_Command], _Command]:
    """Add ``--run-id``."""
    return click.option(
        "--run-id",
        envvar=RUN_ID,
        shell_complete=suggest_runs,
        required=required,
        default=None if required else "",
        help="Id of the run: the nodes that give the same one meet.  [env: RDZV_RUN_ID]",
    )


def output_options(command: _Command) -> _Command:
    """Add ``--json`` and ``--debug``."""
    json = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs to stdout.")
    debug = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        help="Show tracebacks.  [env: RDZV_DEBUG]",
    )
    return json(debug(command))


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    # Through the environment it reaches the nodes of --spawn too.
    if value:
        os.environ["RDZV_DEBUG"] = "1"
