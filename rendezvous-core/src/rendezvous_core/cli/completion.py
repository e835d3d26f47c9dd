"""``rdzv completion``."""

import click
from click.shell_completion import get_completion_class

from rendezvous_core.cli.exit_codes import ExitCode


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print what makes SHELL complete commands, options, backends and run ids.

    For bash: eval "$(rdzv completion bash)"
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    root = ctx.find_root()
    click.echo(kind(root.command, {}, "rdzv", "_RDZV_COMPLETE").source())
    return ExitCode.OK
