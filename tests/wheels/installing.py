"""What users get: distributions built, and installed into environments of their own."""

import email.message
import email.parser
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]


class Built(NamedTuple):
    folder: Path
    project: dict[str, Any]
    wheel: Path
    sdist: Path

    @property
    def package(self) -> str:
        return self.folder.name.replace("-", "_")

    def pins(self) -> list[str]:
        """Which builds of its dependencies the tests take, where there are several."""
        groups = tomllib.loads((self.folder / "pyproject.toml").read_text()).get("dependency-groups", {})
        needed = " ".join(self.project["dependencies"])
        return [tool for tool in groups.get("test", []) if tool.partition("==")[0] in needed]

    def metadata(self) -> email.message.Message:
        return email.parser.Parser().parsestr(self.read("METADATA"))

    def read(self, name: str) -> str:
        with zipfile.ZipFile(self.wheel) as archive:
            info = f"{self.package}-{self.project['version']}.dist-info"
            return archive.read(f"{info}/{name}").decode()


def environment_at(folder: Path) -> dict[str, str]:
    """Variables that lead away from the checkout and from the user's files, to ``folder``."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**environment, "XDG_RUNTIME_DIR": str(folder)}


def run(*command: str | Path, cwd: Path) -> str:
    """Run ``command`` away from the checkout and from the user's files; return what it printed."""
    ran = subprocess.run(
        command,
        cwd=cwd,
        env=environment_at(cwd),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


Build = Callable[[str], Built]


def install(folder: Path, *wheels: Path | str) -> Path:
    """Install ``wheels`` into a fresh environment in ``folder``; return where its programs are."""
    run(sys.executable, "-m", "virtualenv", folder / "venv", cwd=folder)
    binaries = folder / "venv" / "bin"
    run(binaries / "python", "-m", "pip", "install", "-q", *wheels, cwd=folder)
    return binaries
