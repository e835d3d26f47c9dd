"""The contract of rendezvous, checked by its conformance kit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rendezvous_jsonfile import JsonFileBackend

from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.testing import BackendSuite, HandlerSuite, PluginSuite

NO_SERVER = {"server": "there is no server: it is a file"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.json"


class TestBackend(BackendSuite):
    lacks: ClassVar = {**NO_SERVER, "link": "there is no connection that could break"}

    @pytest.fixture
    def backend_factory(self, path: Path) -> Callable[[str], JsonFileBackend]:
        return partial(JsonFileBackend, str(path))

    @pytest.fixture
    def corrupt(self, path: Path) -> Callable[[str], object]:
        return lambda run_id: path.write_text("{no json")


class TestHandler(HandlerSuite):
    lacks: ClassVar = {**NO_SERVER, "large_groups": "all nodes compete for one file"}

    @pytest.fixture
    def handler_factory(self, path: Path) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            params = RendezvousParameters("jsonfile", str(path), run_id, min_nodes, max_nodes, **options)
            return get_rendezvous_handler(params)

        return create


class TestPlugin(PluginSuite):
    backend = "jsonfile"
    distribution = "rendezvous-jsonfile"
    bad_endpoints = ("localhost:29400", "")
    lacks: ClassVar = {
        "secret_parameters": "a file needs no password",
        "declared_options": "it has none of its own, and stays small",
    }

    @pytest.fixture
    def endpoint(self, path: Path) -> str:
        return str(path)

    @pytest.fixture
    def unreachable_endpoint(self) -> str:
        return "/proc/no/such/runs.json"
