"""Figures that a command writes into the docs, between ``<!-- name -->`` and ``<!-- end of name -->``."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def put_down(page: str, name: str, text: str) -> None:
    """Put ``text`` in the place of what the page holds between the marks of ``name``."""
    path = DOCS / page
    before = path.read_text()
    assert _marks(name).search(before), f"{page} has no place for {name}"
    path.write_text(_marks(name).sub(lambda _: text, before))


def standing(page: str, name: str) -> str:
    """Return what the page holds between these marks."""
    found = _marks(name).search((DOCS / page).read_text())
    assert found is not None, f"{page} has no place for {name}"
    return found[0]


def _marks(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=<!-- {name} -->\n).*(?=<!-- end of {name} -->)", re.DOTALL)
