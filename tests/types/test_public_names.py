"""What type checkers see of rendezvous_core is what Python finds there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rendezvous_core

NAMES = sorted(getattr(rendezvous_core, "__all__"))  # noqa: B009 - a stub has none
ROOT = Path(__file__).parents[2]
PYRIGHT = ["pyright", "--pythonpath", sys.executable]


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", *command)
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=280, cwd=cwd)


@pytest.mark.parametrize("checker", [["mypy", "--strict"], PYRIGHT], ids=lambda command: str(command[0]))
def test_all_that_is_there_is_seen(checker: list[str], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("".join(f"from rendezvous_core import {name} as {name}\n" for name in NAMES))

    ran = run(*checker, str(program), cwd=tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_all_that_is_seen_is_there() -> None:
    ran = run(*PYRIGHT, "--outputjson", "--verifytypes", "rendezvous_core", "--ignoreexternal")

    symbols = json.loads(ran.stdout)["typeCompleteness"]["symbols"]
    seen = {each["name"].removeprefix("rendezvous_core.") for each in symbols}
    assert sorted(name for name in seen if "." not in name) == NAMES


@pytest.mark.parametrize("checker", [["mypy", "--strict"], PYRIGHT], ids=lambda command: str(command[0]))
@pytest.mark.parametrize("page", ["README.md", "rendezvous-core/README.md"])
def test_the_program_of_the_readme_has_types(page: str, checker: list[str], tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (tmp_path / "program.py").write_text(program)

    ran = run(*checker, "program.py", cwd=tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr
