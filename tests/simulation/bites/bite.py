"""One rule taken out of the code."""

import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import pytest


class Bite(NamedTuple):
    """A row: the rule, the function that keeps it, its code with and without, and who notices."""

    rule: str
    function: Any
    code: str
    without: str
    story: Callable[..., None]


def take_out(monkeypatch: pytest.MonkeyPatch, bite: Bite) -> None:
    """Put the code without the rule in the place of the function's."""
    function: FunctionType = bite.function
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(bite.code) == 1, "the row is out of date"
    module: dict[str, Any] = {}
    exec(source.replace(bite.code, bite.without), dict(function.__globals__), module)
    changed = module[function.__name__]
    if isinstance(changed, property):
        changed = changed.fget
    monkeypatch.setattr(function, "__code__", changed.__code__)
