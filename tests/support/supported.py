"""The tables of what is supported, in the READMEs: each line names the tests that stand for it."""

import importlib
import re
from pathlib import Path

_TABLE = "| supported | tested by |\n|---|---|\n"


def lines(distribution: str) -> list[str]:
    """The lines of the table in the README of ``distribution``."""
    readme = Path(__file__).parents[2] / distribution / "README.md"
    return readme.read_text().partition(_TABLE)[2].partition("\n\n")[0].splitlines()


def check(line: str, package: str) -> None:
    """Fail unless ``line`` names at least one test, all of ``package``, and none that is gone."""
    named = re.findall(r"`((?:\w+/)?test_\w+)\.py(?:::(\w+))?`", line)
    assert named, line
    for module, name in named:
        found = importlib.import_module(f"{package}.{module}".replace("/", "."))
        assert not name or hasattr(found, name), name
