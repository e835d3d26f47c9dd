"""The commands of ``rdzv``."""

from importlib.metadata import version

import click

from rendezvous_core.cli.backends import backends
from rendezvous_core.cli.doctor import doctor
from rendezvous_core.cli.new_plugin import new_plugin
from rendezvous_core.cli.run import run
from rendezvous_core.cli.status import close, status, watch


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("rendezvous-core"))
def rdzv() -> None:
    """Gather nodes into a group, and see what became of it."""


for command in (run, status, watch, close, backends, doctor, new_plugin):
    rdzv.add_command(command)
