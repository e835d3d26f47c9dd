"""The ten steps to a plugin of one's own lead there."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest

from tests.docs.steps import DOCS, Shell, is_shown, read_blocks, read_commands

PAGE = "writing-a-backend.md"


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell whose pip finds the core of this checkout, as others find the released one."""
    wheels = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(wheels)]
    subprocess.run([*build, str(DOCS.parent / "rendezvous-core")], check=True)
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    shell = Shell(tmp_path_factory.mktemp("plugin"))
    yield shell
    shell.close()


@pytest.mark.timeout(1200)
def test_the_ten_steps(shell: Shell) -> None:
    """Types every command of the page into one shell, writes every file, and runs every other program."""
    for block in read_blocks(PAGE):
        if block.file:
            (shell.folder / block.file).write_text(block.text)
        elif block.language == "console":
            for command, shown in read_commands(block.text):
                output = shell.run(command)
                assert not shown or is_shown(output, shown), f"{command} wrote:\n{output}"
        elif block.language == "toml":
            written = tomllib.loads((shell.folder / "pyproject.toml").read_text())["project"]
            for key, value in tomllib.loads(block.text)["project"].items():
                assert written[key] == value
        else:
            assert block.language == "python"
            (shell.folder / "snippet.py").write_text(block.text)
            shell.run("python snippet.py")


def test_there_are_ten_steps() -> None:
    headings = [line for line in (DOCS / PAGE).read_text().splitlines() if line.startswith("## ")]
    numbers = [line.split()[1] for line in headings if line[3].isdigit()]
    assert numbers == [f"{number}." for number in range(1, 11)]
