"""Doors through which strangers' bytes come in, fuzzed."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

CORPUS = Path(__file__).with_name("corpus")

_HOMES = {"replies": "tests.fuzz.replies", "answers": "tests.fuzz.answers"}
"""The modules of the targets that need another distribution than core."""


def target_of(name: str) -> Callable[[bytes], None]:
    """Return the target of that name; it raises what the door should not have raised."""
    module = import_module(_HOMES.get(name, "tests.fuzz.targets"))
    return cast("Callable[[bytes], None]", getattr(module, name))
