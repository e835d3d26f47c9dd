"""Lets a stock torchrun find our backends; entry points of the group ``torchrun.handlers`` name `handler`.

torch loads all of them whenever it is imported, so nothing is imported here before it is needed.
"""

from collections.abc import Callable
from typing import Any


def handler() -> Callable[[Any], Any]:
    """Return the function that creates the handler of a torchrun agent from torch's parameters."""
    return _create_handler


def _create_handler(params: Any) -> Any:
    try:
        from rendezvous_c10d.torchrun import create_handler
    except ModuleNotFoundError as error:
        if error.name != "rendezvous_c10d":
            raise
        raise ModuleNotFoundError(
            f"--rdzv-backend={params.backend} needs the package that speaks with torch: "
            "pip install rendezvous-c10d",
            name=error.name,
        ) from error
    return create_handler(params)
