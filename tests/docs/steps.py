"""Runs a page of the documentation: writes the files that it shows, and types its commands."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"

_BLOCK = re.compile(r"(?:^`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A code block: the file that it is said to be, if any, its language, and its text."""

    file: str | None
    language: str
    text: str


def read_blocks(page: str) -> list[Block]:
    """Return the code blocks of ``docs/<page>``."""
    return [Block(match[1], match[2], match[3]) for match in _BLOCK.finditer((DOCS / page).read_text())]


def read_commands(console: str) -> Iterator[tuple[str, list[str]]]:
    """Return the commands of a console block, each with the output that is shown."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, *output = part.splitlines()
        yield command, output


def is_shown(output: str, shown: list[str]) -> bool:
    """Whether ``output`` is what the page shows, but for spaces; ``...`` stands for anything."""
    pattern = re.escape(" ".join("\n".join(shown).split())).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern.replace(r"\ .*", ".*"), " ".join(output.split())) is not None


class Shell:
    """One shell, in which commands follow each other as when they are typed."""

    def __init__(self, folder: Path) -> None:
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str) -> str:
        """Run ``command``, which must succeed, and return its output."""
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f'{command}\necho "=== $? $PWD"\n')
        self._shell.stdin.flush()
        output: list[str] = []
        for line in self._shell.stdout:
            if match := re.match(r"=== (\d+) (.*)", line):
                self.folder = Path(match[2])
                assert match[1] == "0", f"{command} failed:\n{''.join(output)}"
                return "".join(output)
            output.append(line)
        raise AssertionError(f"The shell has ended:\n{''.join(output)}")

    def close(self) -> None:
        """End the shell, and what it left in the background."""
        os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
