"""The rules of ``docs/protocol.md`` and those who cite them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "protocol.md"
CORE = ROOT / "rendezvous-core/src/rendezvous_core"
CODE = sorted(path for room in ("protocol", "records", "plugins") for path in (CORE / room).glob("*.py"))
TESTS = sorted(path for path in (ROOT / "tests/simulation").rglob("*.py") if path != Path(__file__))
CITATION = re.compile(r"\b[Rr]ules?\s+(\d+(?:(?:,\s+|\s+and\s+|,\s+and\s+)\d+)*)")

RULES = [int(number) for number in re.findall(r"^(\d+)\. \*\*", DOCS.read_text(), flags=re.MULTILINE)]


def cited(paths: list[Path]) -> dict[int, str]:
    """Which rules are cited, and by which file."""
    return {
        int(number): path.name
        for path in paths
        for citation in CITATION.finditer(path.read_text())
        for number in re.findall(r"\d+", citation[1])
    }


def test_rules_are_numbered_one_by_one() -> None:
    assert list(range(1, len(RULES) + 1)) == RULES


@pytest.mark.parametrize("paths", [CODE, TESTS], ids=["code", "tests"])
def test_each_rule_is_cited_where_it_is_kept(paths: list[Path]) -> None:
    assert sorted(RULES) == sorted(cited(paths)), "a rule that nobody cites, or a citation of no rule"


def test_docs_cite_no_rule_that_is_not_there() -> None:
    assert cited(sorted((ROOT / "docs").glob("*.md"))).keys() <= set(RULES)
