"""Doors that are fuzzed: the corpus each time, and whatever coverage leads to for a while."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
HOUR = 3600


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_passes(target: str) -> None:
    files = sorted((CORPUS / target).iterdir())
    assert files
    for file in files:
        TARGETS[target](file.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_a_while_finds_nothing(target: str, tmp_path: Path) -> None:
    fuzz(target, 4, tmp_path)


@pytest.mark.thorough
@pytest.mark.timeout(2 * HOUR)
@pytest.mark.parametrize("target", TARGETS)
def test_an_hour_finds_nothing(target: str, tmp_path: Path) -> None:
    fuzz(target, HOUR // len(TARGETS), tmp_path)


def fuzz(target: str, seconds: int, folder: Path) -> None:
    pytest.importorskip("atheris", reason="Atheris has wheels for Linux on x86_64 alone")
    command = [sys.executable, "-m", "tests.fuzz", target, str(seconds), str(folder)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
