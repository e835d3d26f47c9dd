"""The page on frameworks tells of each that is tried, and the session tries each."""

import re

import pytest

from frameworks.cases import CASES, Case
from tests.docs.steps import DOCS

PAGE = (DOCS / "frameworks.md").read_text()
NOXFILE = (DOCS.parent / "noxfile.py").read_text()


def test_each_framework_has_its_section_and_its_results() -> None:
    tried = {case.framework for case in CASES}
    assert tried <= set(re.findall(r"^## (.*)$", PAGE, re.MULTILINE))
    session = re.search(r"^FRAMEWORKS = \((.*?)^\)", NOXFILE, re.MULTILINE | re.DOTALL)
    assert session
    assert set(re.findall(r'"(.*?)"', session[1])) == tried
    rows = [[cell.strip() for cell in line.split("|")] for line in PAGE.splitlines() if line.startswith("| ")]
    shown = {(row[1], row[3]) for row in rows if row[1] in tried}
    assert shown
    assert shown <= {(case.framework, f"`{case.shown}`") for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.framework}: {case.shown}")
def test_each_section_says_what_to_type_and_what_a_death_does(case: Case) -> None:
    section = PAGE.partition(f"\n## {case.framework}\n")[2].partition("\n## ")[0]
    assert "```console\n$ " in section
    typed = re.match(r"\w+", case.shown)
    assert typed
    assert typed[0] in section
    assert re.search(r"\b(dies|death)\b", section)
