"""What the example plugins promise to their readers."""

import re

from tests.docs.steps import DOCS

EXAMPLES = DOCS.parent / "examples"


def test_they_use_public_names_alone() -> None:
    files = list(EXAMPLES.glob("rendezvous-*/**/*.py"))
    assert files
    for file in files:
        modules = re.findall(r"^\s*(?:from|import) (rendezvous_core[\w.]*)", file.read_text(), re.MULTILINE)
        assert set(modules) <= {"rendezvous_core", "rendezvous_core.testing"}, file


def test_the_smallest_is_small() -> None:
    assert len((EXAMPLES / "rendezvous-jsonfile/rendezvous_jsonfile.py").read_text().splitlines()) < 60
