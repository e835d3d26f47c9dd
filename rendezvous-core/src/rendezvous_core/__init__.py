"""Elastic rendezvous: nodes that come, go and crash agree on membership, ranks and a shared store.

What is public is named in the stub beside this file, once: type checkers read it there, and so does
Python. A name's module is imported when the name is asked for, since torch loads our entry points
whenever it is imported.
"""

from importlib import import_module


def _read_stub() -> dict[str, str]:
    loader = __spec__.loader
    lines = loader.get_data(f"{__file__}i").decode().splitlines()
    words = [line.split() for line in lines if line.startswith("from ")]
    return {name: module for _, module, _, name, _, _ in words}


_MODULES = _read_stub()

__all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
