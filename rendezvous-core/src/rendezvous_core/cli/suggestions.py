"""What a shell offers where the tab key is pressed: backends, their options, and the runs that there are.

A shell waits for the answer, and has no place for errors: what cannot be found out soon is not offered.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable
from functools import wraps

import click
from click.shell_completion import CompletionItem

from rendezvous_core.plugins.loading import installed_backends
from rendezvous_core.ports.endpoint import parse_config
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.settings import HANDLER_OPTIONS
from rendezvous_core.registry import backend_of, open_runs
from rendezvous_core.registry import backend_options as options_of

_PATIENCE = "1"
"""Seconds for which a server is waited for."""

_Suggest = Callable[[click.Context, str], Iterable[str]]
_Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _quietly(suggest: _Suggest) -> _Complete:
    @wraps(suggest)
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        logging.disable(logging.CRITICAL)
        with contextlib.suppress(Exception):
            return [CompletionItem(text) for text in suggest(ctx, incomplete) if text.startswith(incomplete)]
        return []

    return complete


@_quietly
def suggest_backends(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Offer the installed backends."""
    return sorted({backend.name for backend in installed_backends()})


@_quietly
def suggest_runs(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Offer the runs at the endpoint that stands on the line, or in the environment."""
    conf = {"join_timeout": _PATIENCE, **parse_config(_given(ctx, "conf"))}
    with open_runs(RendezvousParameters(_backend(ctx), _given(ctx, "endpoint"), "", 1, 1, **conf)) as runs:
        return sorted(runs.read())


@_quietly
def suggest_options(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Offer the options of the backend behind the last comma, but those that are given already."""
    before, comma, _ = incomplete.rpartition(",")
    declared = options_of(RendezvousParameters(_backend(ctx), "", "", 1, 1)) or HANDLER_OPTIONS
    given = {item.partition("=")[0] for item in before.split(",")}
    return [f"{before}{comma}{option.name}=" for option in declared if not given & {*option.names}]


def suggest_commands(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer files, as the command that is to run may be one, or its arguments."""
    return [CompletionItem(incomplete, type="file")]


def _backend(ctx: click.Context) -> str:
    return _given(ctx, "backend") or backend_of(_given(ctx, "endpoint")) or "sqlite"


def _given(ctx: click.Context, name: str) -> str:
    return str(ctx.params.get(name) or "")
