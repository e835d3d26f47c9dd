"""The page on frameworks tells of each that is tried, and the session tries each."""

import re

from frameworks.cases import CASES
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
