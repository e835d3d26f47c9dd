"""The tables of options in the READMEs: ``python -m tests.support.option_tables`` writes them anew."""

import re
from collections.abc import Iterable
from pathlib import Path

from rendezvous_core import Option, RendezvousParameters, backend_options
from rendezvous_core.cli.backends import option_rows
from rendezvous_core.ports.settings import HANDLER_OPTIONS

READMES = {
    path.parent.name: path for path in sorted(Path(__file__).parents[2].glob("rendezvous-*/README.md"))
}
_TABLE = re.compile(r"(?<=^<!-- options: )([\w-]+) -->\n(?:\|.*\n)*", re.MULTILINE)


def check(distribution: str) -> None:
    """Fail unless the README of ``distribution`` shows the options as they are declared."""
    text = READMES[distribution].read_text()
    assert "<!-- options:" in text
    assert written_anew(text) == text, "write it anew: python -m tests.support.option_tables"


def written_anew(text: str) -> str:
    """Return a README with its tables as they should be."""
    return _TABLE.sub(lambda found: f"{found[1]} -->\n{_table(_options(found[1]))}", text)


def _options(name: str) -> Iterable[Option]:
    if name == "handler":
        return HANDLER_OPTIONS
    if name == "torchrun":
        from rendezvous_c10d._options import OF_TORCHRUN

        return OF_TORCHRUN
    options = backend_options(RendezvousParameters(name, "", "", 1, 1))
    assert options is not None, f"{name} declares no options"
    return [option for option in options if option not in HANDLER_OPTIONS]


def _table(options: Iterable[Option]) -> str:
    rows = [("option", "may be", "default", ""), ("---",) * 4, *option_rows(options)]
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |").replace(" --- ", "---") for row in rows)


if __name__ == "__main__":
    for path in READMES.values():
        path.write_text(written_anew(path.read_text()))
