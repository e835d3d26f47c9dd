"""Process groups of torch over the stores of our rounds."""

import gc
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from rendezvous_c10d import C10dRendezvousBackend, as_torch_store
from rendezvous_core import (
    QueueEmptyError,
    RendezvousConnectionError,
    RendezvousParameters,
    RendezvousTimeoutError,
    create_handler,
)
from rendezvous_core.ports.serving import free_port
from rendezvous_core.testing import MemoryServer, MemoryStore
from tests.c10d.agents import is_gloos
from tests.c10d.backends import Backend, etcd, redis, sqlite

NODES = 3


@contextmanager
def tcp(folder: Path) -> Iterator[Backend]:
    """The first worker hosts it."""
    yield Backend("c10d", f"localhost:{free_port('')}", {})


@contextmanager
def file(folder: Path) -> Iterator[Backend]:
    yield Backend("c10d", str(folder / "store"), {"store_type": "file"})


@pytest.mark.parametrize(
    "meet", [redis, tcp, *(pytest.param(each, marks=pytest.mark.thorough) for each in (sqlite, etcd, file))]
)
def test_a_group_of_gloo(meet: Callable[[Path], AbstractContextManager[Backend]], tmp_path: Path) -> None:
    """all_reduce, all_gather_object, barrier, new_group and monitored_barrier, in three processes."""
    with meet(tmp_path) as (backend, endpoint, options):
        command = [sys.executable, "-m", "tests.c10d.worker", backend, endpoint, uuid.uuid4().hex]
        workers = [
            subprocess.Popen(
                [*command, str(NODES), json.dumps(options)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(NODES)
        ]
        try:
            told = [worker.communicate(timeout=120) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
    errors = [f"{worker.returncode}: {error}" for worker, (_, error) in zip(workers, told, strict=True)]
    assert [worker.returncode for worker in workers] == [0] * NODES, "\n".join(errors)
    results = [json.loads(line) for text, _ in told for line in text.splitlines() if not is_gloos(line)]
    assert len(results) == NODES
    gathered = [{"rank": rank, "text": "x" * rank} for rank in range(NODES)]
    assert all(result["sum"] == 6 and result["gathered"] == gathered for result in results)
    # The group of the first and the last; who is not in it keeps its own.
    assert sorted(result["ends"] for result in results) == [1, 2, 2]


# What torch's own code sees of our stores


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(MemoryServer(), "run")


def test_views_of_torch_keep_the_store_alive(store: MemoryStore) -> None:
    """torch holds the C++ half alone, and passes it on."""
    view = dist.PrefixStore("outer", dist.PrefixStore("inner", as_torch_store(store)))
    gc.collect()
    view.set("key", "value")
    assert view.get("key") == b"value"
    assert store.get("inner/outer/key") == b"value"
    assert view.add("number", 2) == 2
    assert view.compare_set("key", "value", "other") == b"other"
    view.append("key", "!")
    assert view.multi_get(["key", "number"]) == [b"other!", b"2"]
    view.multi_set(["one", "two"], [b"1", b"2"])
    assert view.check(["one", "two"])
    view.wait(["one"])
    view.wait(["one"], timedelta(seconds=1))
    assert view.delete_key("one")
    assert not view.check(["one"])
    assert view.num_keys() == 3
    assert view.has_extended_api()


def test_errors_are_known_to_both(store: MemoryStore) -> None:
    adapted: Any = as_torch_store(store)
    with pytest.raises(dist.DistStoreError, match="missing"):
        adapted.wait(["missing"], timedelta(milliseconds=10))
    with pytest.raises(RendezvousTimeoutError, match="missing"):
        adapted.wait(["missing"], 0.01)
    # torch has had queues since 2.8.
    with pytest.raises(getattr(dist, "QueueEmptyError", dist.DistStoreError)):
        adapted.queue_pop("queue", block=False)
    with pytest.raises(QueueEmptyError):
        adapted.queue_pop("queue", block=False)


@pytest.mark.parametrize("kind", [dist.DistNetworkError, RendezvousConnectionError])
def test_a_lost_connection_is_known_to_both(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def lost(*_: object) -> None:
        raise RendezvousConnectionError("the server is gone")

    monkeypatch.setattr(store, "set", lost)
    with pytest.raises(kind, match="the server is gone"):
        as_torch_store(store).set("key", "value")


def test_what_is_torchs_already_is_returned_as_it_is(store: MemoryStore) -> None:
    adapted = as_torch_store(store)
    assert isinstance(adapted, dist.Store)
    assert as_torch_store(adapted) is adapted
    hashed = dist.HashStore()
    assert as_torch_store(hashed) is hashed


def test_the_store_of_a_c10d_round_is_torchs_own() -> None:
    """Also below: torch finds the TCPStore under it, and the timeout that Python sets holds in C++."""
    server = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    backend = C10dRendezvousBackend(server, "run")
    params = RendezvousParameters("c10d", "", "run", 1, 1)
    handler = create_handler(backend.store, backend, params)
    store: Any = handler.next_rendezvous().store
    assert isinstance(store, dist.PrefixStore)
    assert isinstance(store.underlying_store, dist.TCPStore)
    inner = dist.PrefixStore("inner", store)
    inner.set("key", "value")
    assert store.get("inner/key") == b"value"
    store.set_timeout(timedelta(milliseconds=20))
    with pytest.raises(dist.DistStoreError):
        inner.get("missing")
    handler.shutdown()
