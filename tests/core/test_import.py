"""What ``import rendezvous_core`` costs and offers."""

import subprocess
import sys

import pytest

import rendezvous_core

NAMES = sorted(getattr(rendezvous_core, "__all__"))  # noqa: B009 - a stub has none


def loaded_by(statement: str) -> set[str]:
    script = f"import sys\nbefore = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - before)"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {script}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(ran.stdout.split())


def test_the_import_loads_nothing_else() -> None:
    # Not even typing, which takes longer than all the rest.
    assert loaded_by("import rendezvous_core") - loaded_by("import importlib") == {"rendezvous_core"}


def test_every_public_name_is_there() -> None:
    assert set(NAMES) <= set(dir(rendezvous_core))
    assert all(hasattr(rendezvous_core, name) for name in NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    name = "no_such_name"
    with pytest.raises(AttributeError, match=name):
        getattr(rendezvous_core, name)
