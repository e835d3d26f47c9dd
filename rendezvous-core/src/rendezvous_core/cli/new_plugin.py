"""``rdzv new-plugin``."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click

from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.cli.options import output_options
from rendezvous_core.plugins.loading import installed_backends
from rendezvous_core.registry import PROVIDERS


@click.command("new-plugin")
@click.argument("name")
@output_options
def new_plugin(name: str, as_json: bool) -> int:
    """Write the skeleton of a plugin that provides the backend NAME.

    A distribution of its own, in a new folder: project, sources, and the tests of the conformance kit,
    which fail only where something is to be filled in.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise click.UsageError(f"{name!r} must be lowercase letters, digits and single dashes, as my-store.")
    owners = {backend.name: backend.distribution for backend in installed_backends()}
    if owner := owners.get(name) or PROVIDERS.get(name):
        raise click.UsageError(f"The backend '{name}' is provided by {owner} already.")
    words = {
        "name": name,
        "distribution": f"rendezvous-{name}",
        "package": f"rendezvous_{name.replace('-', '_')}",
        "class_name": name.title().replace("-", ""),
    }
    folder = Path(words["distribution"])
    if folder.exists():
        raise click.UsageError(f"The folder '{folder}' is there already.")
    created = []
    for place, file in _walk(files("rendezvous_core.cli") / "template", Path()):
        target = folder / str(place).replace("package", words["package"]).removesuffix(".in")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(file.read_text("utf-8")).substitute(words), "utf-8")
        created.append(str(target))
    if as_json:
        click.echo(json.dumps({"created": created}))
        return ExitCode.OK
    click.echo("\n".join(created))
    click.echo(f"Next: cd {folder} && pip install -e '.[test]' && pytest, and fill in what it asks for.")
    return ExitCode.OK


def _walk(folder: Traversable, place: Path) -> Iterator[tuple[Path, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(entry, place / entry.name)
        else:
            yield place / entry.name, entry
