"""Fuzzes the doors of a distribution: what is known of each, and whatever coverage leads to for a while."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fuzz import CORPUS, target_of

ROOT = Path(__file__).parents[2]
DOORS = sorted(folder.name for folder in CORPUS.iterdir())
MINUTE, HOUR = 60, 3600


class Fuzzing:
    """To be subclassed with a parametrization of ``target``."""

    def test_the_corpus_passes(self, target: str) -> None:
        files = sorted((CORPUS / target).iterdir())
        assert files
        for file in files:
            target_of(target)(file.read_bytes())

    def test_its_part_of_a_minute_finds_nothing(self, target: str, tmp_path: Path) -> None:
        fuzz(target, MINUTE // len(DOORS), tmp_path)

    @pytest.mark.thorough
    @pytest.mark.timeout(2 * HOUR)
    def test_its_part_of_an_hour_finds_nothing(self, target: str, tmp_path: Path) -> None:
        fuzz(target, HOUR // len(DOORS), tmp_path)


def fuzz(target: str, seconds: int, folder: Path) -> None:
    """Fuzz one door for so long."""
    pytest.importorskip("atheris", reason="Atheris has wheels for Linux on x86_64 alone")
    command: Sequence[str] = (sys.executable, "-m", "tests.fuzz", target, str(seconds), str(folder))
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
