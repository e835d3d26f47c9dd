"""The README's table of what is supported names tests that there are."""

import importlib
import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "rendezvous-redis" / "README.md"
SUPPORTED = README.read_text().partition("| supported | tested by |\n|---|---|\n")[2].partition("\n\n")[0]


@pytest.mark.parametrize("line", SUPPORTED.splitlines())
def test_supported(line: str) -> None:
    """Each line names at least one, and none that is gone."""
    named = re.findall(r"`(test_\w+)\.py(?:::(\w+))?`", line)
    assert named
    for module, name in named:
        found = importlib.import_module(f"tests.redis.{module}")
        assert not name or hasattr(found, name), name
