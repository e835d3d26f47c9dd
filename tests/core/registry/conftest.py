"""Environments with real distributions in them: files, metadata and entry points, on a path of their own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

PRELUDE = """
import sys
from rendezvous_core import RendezvousParameters, get_rendezvous_handler, rendezvous_handler_registry
from rendezvous_core.registry import create_backend, create_store, installed_backends

def params(backend, **options):
    return RendezvousParameters(backend, "", "run", 1, 1, **options)

def create(backend, **options):
    return get_rendezvous_handler(params(backend, **options))

def error(function, *arguments, **options):
    try:
        result = function(*arguments, **options)
    except Exception as error:
        for kind in type(error).__mro__:
            print(kind.__name__)
        print(error)
        print("cause:", repr(error.__cause__))
    else:
        print("no error but", result)
"""


class Environment:
    """A place where distributions are installed, for processes that start there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        shutil.copy(Path(__file__).with_name("parts.py"), path)

    def install(
        self,
        distribution: str,
        code: str = "",
        *,
        backends: Mapping[str, str] | None = None,
        plugins: Mapping[str, str] | None = None,
        version: str = "1.0",
    ) -> None:
        """Install a distribution with one module of ``code``, named as the distribution is."""
        module = distribution.replace("-", "_")
        (self._path / f"{module}.py").write_text(dedent(code))
        metadata = self._path / f"{module}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        lines: list[str] = []
        for group, entries in (
            ("rendezvous.backends", backends or {}),
            ("rendezvous.plugins", plugins or {}),
        ):
            lines += [f"[{group}]", *(f"{name} = {module}{value}" for name, value in entries.items())]
        (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
        (metadata / "RECORD").write_text(f"{module}.py,,\n{metadata.name}/METADATA,,\n")

    def run(self, script: str) -> list[str]:
        """Run ``script`` in a new process there, and return the lines that it prints."""
        finished = subprocess.run(
            [sys.executable, "-c", PRELUDE + dedent(script)],
            env={**os.environ, "PYTHONPATH": str(self._path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert finished.returncode == 0, finished.stderr
        assert "Traceback" not in finished.stderr, finished.stderr
        return finished.stdout.splitlines()


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path)
