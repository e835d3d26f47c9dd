"""What ``import rendezvous_core`` costs."""

import subprocess
import sys

import pytest

import rendezvous_core

HEAVY = {
    "asyncio",
    "click",
    "concurrent.futures",
    "etcd",
    "importlib_metadata",
    "msgspec",
    "pyetcd",
    "redis",
    "rich",
    "sqlite3",
    "torch",
    "rendezvous_core.cli",
    "rendezvous_core.sqlite",
    "rendezvous_core.static",
}


def loaded_by(statement: str) -> set[str]:
    script = f"import sys\nbefore = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - before)"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(ran.stdout.split())


def test_the_import_loads_no_client_no_command_line_and_no_plugin() -> None:
    assert not HEAVY & loaded_by("import rendezvous_core")


def test_every_public_name_is_there() -> None:
    assert set(rendezvous_core.__all__) <= set(dir(rendezvous_core))
    assert all(hasattr(rendezvous_core, name) for name in rendezvous_core.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        rendezvous_core.no_such_name  # noqa: B018
