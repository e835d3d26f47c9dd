"""What a test needs and this machine may not have."""

import importlib
import os
from types import ModuleType
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it on CI, where everything has to be there."""
    if "CI" in os.environ:
        pytest.fail(what)
    pytest.skip(what, allow_module_level=True)


def need(module: str) -> ModuleType:
    """Import what only some environments have."""
    try:
        return importlib.import_module(module)
    except ImportError:
        missing(f"{module} is not installed")
