"""The commands of ``rdzv``."""

from importlib.metadata import version
from typing import Any

import click

from rendezvous_core.cli.backends import backends
from rendezvous_core.cli.completion import completion
from rendezvous_core.cli.doctor import doctor
from rendezvous_core.cli.drain import drain
from rendezvous_core.cli.history import history
from rendezvous_core.cli.new_plugin import new_plugin
from rendezvous_core.cli.run import run
from rendezvous_core.cli.runs import delete, runs
from rendezvous_core.cli.status import close, status, watch
from rendezvous_core.ports.spelling import did_you_mean


class _Commands(click.Group):
    """Knows what may have been meant, whatever the version of click; and never offers what is hidden."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See base class."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            known = self.list_commands(ctx)
            advice = did_you_mean(name, known) or f": there are {', '.join(known)}."
            raise click.UsageError(f"There is no command '{name}'{advice}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """See base class."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            raise _unknown_option(error) from None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See base class."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _unknown_option(error) from None


def _unknown_option(error: click.NoSuchOption) -> click.UsageError:
    ctx = error.ctx or click.Context(rdzv)
    shown = [
        each for each in ctx.command.get_params(ctx) if isinstance(each, click.Option) and not each.hidden
    ]
    known = [name for option in shown for name in option.opts]
    advice = did_you_mean(error.option_name, known) or "."
    return click.UsageError(f"There is no option '{error.option_name}'{advice}", ctx)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(version("rendezvous-core"))
def rdzv() -> None:
    """Gather nodes into a group, and see what became of it."""


for command in (
    run,
    runs,
    status,
    watch,
    history,
    drain,
    close,
    delete,
    backends,
    doctor,
    completion,
    new_plugin,
):
    rdzv.add_command(command)
