"""What torch and we both have, so that the same checks run on either."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch


class Yard:
    """The names under which one of the two is known."""

    def __init__(self, api: ModuleType, backend: ModuleType, dynamic: ModuleType) -> None:
        self.api = api
        self.create_backend: Callable[[Any], Any] = backend.create_backend
        self.backend: Any = backend.C10dRendezvousBackend
        self.create_handler: Callable[..., Any] = dynamic.create_handler
        self.dynamic = dynamic

    def params(
        self, endpoint: str, run_id: str = "run", least: int = 1, most: int = 2, **options: Any
    ) -> Any:
        return self.api.RendezvousParameters("c10d", endpoint, run_id, least, most, **options)


def torchs() -> Yard:
    place = "torch.distributed.elastic.rendezvous"
    return Yard(
        importlib.import_module(place),
        importlib.import_module(f"{place}.c10d_rendezvous_backend"),
        importlib.import_module(f"{place}.dynamic_rendezvous"),
    )


def ours() -> Yard:
    core = importlib.import_module("rendezvous_core")
    return Yard(core, importlib.import_module("rendezvous_c10d"), core)


OLD = pytest.mark.skipif(torch.__version__ < (2, 13), reason="earlier versions of torch promise less")

BOTH = [pytest.param(torchs, id="torch", marks=OLD), pytest.param(ours, id="ours")]
