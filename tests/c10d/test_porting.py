"""What is written for torch's rendezvous runs by changing the import, with the stores that it hands in."""

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
import torch
from torch.distributed import FileStore, HashStore, PrefixStore, Store, TCPStore

import rendezvous_core
from rendezvous_core import StoreBackend
from rendezvous_core.testing.suites.threads import together
from tests.c10d.yard import BOTH, Yard

PATIENCE = 60.0

PAGE = Path(__file__).parents[2] / "docs" / "porting.md"
FOR_USERS = {
    "DynamicRendezvousHandler": {"from_backend"},
    "EtcdRendezvous": {"__init__", "rendezvous_barrier"},
    "EtcdStore": {"__init__"},
}
"""Of these torch itself calls the rest, or names arguments otherwise than its base class."""

ROWS = re.findall(r"^\| `(from .*?)`.*? \| `(from .*?)`", PAGE.read_text(), re.MULTILINE)


# The table


def run(line: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(line, names)
    return {name: value for name, value in names.items() if name != "__builtins__"}


def methods(found: Any, wanted: set[str] | None) -> Iterator[tuple[str, list[str]]]:
    """What can be called of a class or a function, and with which arguments."""
    if not isinstance(found, type):
        yield "", parameters(found)
        return
    for name, value in inspect.getmembers(found):
        public = name in wanted if wanted else name == "__init__" or not name.startswith("_")
        if public and callable(value) and not issubclass(found, Exception):
            yield name, parameters(value)
        elif public and isinstance(value, property):
            yield name, []


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.skipif(torch.__version__ < (2, 13), reason="earlier versions of torch have less")
@pytest.mark.parametrize(("old", "new"), ROWS)
def test_a_line_of_the_table(old: str, new: str) -> None:
    """The same names; whatever can be called takes the same arguments in the same order, and maybe more."""
    theirs, ours = run(old), run(new)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if inspect.isfunction(value) or isinstance(value, type):
            wanted = FOR_USERS.get(name)
            present = dict(methods(ours[name], wanted))
            for method, arguments in methods(value, wanted):
                assert present[method][: len(arguments)] == arguments, f"{name}.{method}"


def test_all_that_torch_promises_is_in_the_table() -> None:
    shown: dict[str, set[str]] = {}
    for old, _ in ROWS:
        _, module, _, names = old.split(" ", 3)
        shown.setdefault(module, set()).update(names.split(", "))
    place = "torch.distributed.elastic.rendezvous"
    for module in ("", ".registry", ".dynamic_rendezvous", ".utils"):
        promised = sys.modules.get(place + module) or __import__(place + module, fromlist=["_"])
        assert set(promised.__all__) <= shown[place + module] | {"RendezvousHandlerCreator"}
    assert len(shown) >= 10


def test_endpoints_are_read_alike() -> None:
    (old, new) = next(row for row in ROWS if "parse_rendezvous_endpoint" in row[0])
    theirs, ours = (run(line)["parse_rendezvous_endpoint"] for line in (old, new))
    for endpoint in (None, "", "alpha", "alpha:1234", " 10.0.0.1 ", "[::1]:99", "[::1]"):
        assert ours(endpoint, default_port=7) == theirs(endpoint, default_port=7)
    for endpoint in ("alpha:", "alpha:x", "alpha:99999", "al pha:1"):
        for parse in (ours, theirs):
            with pytest.raises(ValueError, match="endpoint"):
                parse(endpoint, 7)


# Stores of torch, handed in


class Minimal(Store):
    """A class of somebody's own, with no method at all."""


class Register:
    """A backend as torch's own tests have it: it says nothing of a write, and nothing of one that lost."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: tuple[bytes, int] | None = None

    @property
    def name(self) -> str:
        return "register"

    def get_state(self) -> tuple[bytes, int] | None:
        with self._lock:
            return self._held

    def set_state(self, state: bytes, token: Any = None) -> None:
        with self._lock:
            if token == (self._held and self._held[1]):
                self._held = (state, (token or 0) + 1)


@pytest.fixture(params=BOTH)
def yard(request: pytest.FixtureRequest) -> Yard:
    found: Yard = request.param()
    return found


def make(kind: str, folder: Path) -> list[Any]:
    """One for each of two nodes."""
    if kind == "tcp":
        host = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        return [host, TCPStore("127.0.0.1", host.port, is_master=False)]
    if kind == "file":
        return [FileStore(str(folder / "store")) for _ in range(2)]
    return 2 * [PrefixStore("somebody's", HashStore()) if kind == "prefix" else HashStore()]


def register(yard: Yard) -> Any:
    return type("Backend", (Register, yard.dynamic.RendezvousBackend), {})()


def join(yard: Yard, stores: list[Any]) -> list[Any]:
    backend = register(yard)
    handlers = []
    for number, store in enumerate(stores):
        params = yard.api.RendezvousParameters(
            "register", "nowhere", "run", len(stores), len(stores), f"127.0.0.{number + 2}", join_timeout="30"
        )
        handlers.append(yard.create_handler(store, backend, params))
    try:
        return together([handler.next_rendezvous for handler in handlers], PATIENCE)
    finally:
        for handler in handlers:
            handler.shutdown()


@pytest.mark.parametrize("kind", ["hash", "tcp", "file", "prefix"])
def test_two_nodes_meet_over_a_store_of_torch(yard: Yard, tmp_path: Path, kind: str) -> None:
    """They get views of it that are torch's own, with the keys of this round."""
    stores = make(kind, tmp_path)
    infos = join(yard, stores)
    assert sorted((info.rank, info.world_size) for info in infos) == [(0, 2), (1, 2)]
    assert len({info.bootstrap_store_info.master_addr for info in infos}) == 1
    for store, info in zip(stores, infos, strict=True):
        assert isinstance(info.store, PrefixStore)
        assert type(info.store.underlying_store) is type(store)
        if kind != "tcp":
            assert info.store.underlying_store == store
    infos[0].store.set("key", "value")
    assert infos[1].store.get("key") == b"value"
    with pytest.raises(Exception, match=r"(?i)time.*out"):
        infos[1].store.wait(["never"], timedelta(seconds=0.01))


def test_a_handler_takes_a_class_of_ones_own(yard: Yard) -> None:
    """Nothing is asked of it before a round forms."""
    timeout = yard.dynamic.RendezvousTimeout()
    handler = yard.dynamic.DynamicRendezvousHandler.from_backend(
        run_id="run", store=Minimal(), backend=register(yard), min_nodes=3, max_nodes=6, timeout=timeout
    )
    assert (handler.get_backend(), handler.get_run_id()) == ("register", "run")
    assert handler.settings.timeout is timeout
    assert (handler.settings.min_nodes, handler.settings.max_nodes) == (3, 6)


class Logged(Store):
    """A class of somebody's own that tells what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self._values = HashStore()

    def set(self, key: str, value: Any) -> None:
        self.calls.append(key)
        self._values.set(key, value)

    def get(self, key: str) -> Any:
        return self._values.get(key)

    def check(self, keys: list[str]) -> bool:
        return bool(self._values.check(keys))

    def compare_set(self, key: str, expected: Any, desired: Any) -> Any:
        return self._values.compare_set(key, expected, desired)

    def multi_get(self, keys: list[str]) -> Any:
        return self._values.multi_get(keys)

    def multi_set(self, keys: list[str], values: list[Any]) -> None:
        for key, value in zip(keys, values, strict=True):
            self.set(key, value)


def test_what_a_class_of_ones_own_overrides_is_called(yard: Yard) -> None:
    store = Logged()
    (info,) = join(yard, [store])
    info.store.set("key", "value")
    assert store.calls[-1].endswith("/key")
    assert info.store.get("key") == b"value"


def test_a_backend_and_a_view_of_ours_take_it_too() -> None:
    store = HashStore()
    backend = StoreBackend(store, "run")
    backend.set_state(b"state")
    found = StoreBackend(store, "run").get_state()
    assert found
    assert found[0] == b"state"
    rendezvous_core.PrefixStore("a", store).set("b", "value")
    assert store.get("a/b") == b"value"


def test_what_is_no_store_is_refused() -> None:
    with pytest.raises(TypeError, match=r"\{\}.*must be a rendezvous_core.Store"):
        StoreBackend({}, "run")  # type: ignore[arg-type]


def test_without_this_package_the_error_names_it() -> None:
    script = """
import importlib_metadata, sys
real = importlib_metadata.entry_points
importlib_metadata.entry_points = lambda **chosen: [
    point for point in real(**chosen) if point.dist.name != "rendezvous-c10d"
]
from torch.distributed import HashStore
from rendezvous_core import PrefixStore
try:
    PrefixStore("a", HashStore())
except TypeError as error:
    print(error)
assert not any(name.startswith("rendezvous_c10d") for name in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install rendezvous-c10d" in ran.stdout


def test_workers_are_not_sent_to_a_store_that_nobody_hosts(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    handler = yard.create_handler(HashStore(), register(yard), yard.params("nowhere"))
    assert handler.use_agent_store is False
