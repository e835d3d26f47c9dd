"""The host of the store dies, or is suspended; and a process that ends leaves nothing behind."""

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import pytest

from rendezvous_c10d import create_backend
from rendezvous_core import (
    DynamicRendezvousHandler,
    MembershipBackend,
    RendezvousBackendLostError,
    RendezvousConnectionError,
    RendezvousParameters,
    get_rendezvous_handler,
)
from rendezvous_core.ports.serving import free_port
from rendezvous_core.testing.suites.threads import is_blocked, start
from tests.c10d.node import node
from tests.support.suspending import suspend

T = TypeVar("T")

PATIENCE = 60.0
QUICK = 15.0
"""Far less than any timeout of the rendezvous, far more than is needed."""


@pytest.fixture
def endpoint() -> str:
    return f"127.0.0.1:{free_port('')}"


@pytest.fixture
def run_id() -> str:
    return uuid.uuid4().hex


def client(endpoint: str, run_id: str, least: int, most: int, **options: Any) -> DynamicRendezvousHandler:
    params = RendezvousParameters("c10d", endpoint, run_id, least, most, is_host=False, **options)
    handler = get_rendezvous_handler(params)
    assert isinstance(handler, DynamicRendezvousHandler)
    return handler


@contextmanager
def suspended(pid: int) -> Iterator[None]:
    suspend(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def eventually(call: Callable[[], T]) -> T:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except RendezvousConnectionError:
            assert time.monotonic() < deadline


def until_all_have_beaten(backend: MembershipBackend, times: int) -> None:
    deadline = time.monotonic() + PATIENCE
    for _ in range(times):
        former = backend.members().records
        while any(record == former.get(node) for node, record in backend.members().records.items()):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def check_lost(error: BaseException | None, endpoint: str) -> None:
    assert isinstance(error, RendezvousBackendLostError), f"got {error!r}"
    assert f"Nobody listens any more for the TCPStore at {endpoint}" in str(error)
    assert "redis" in str(error)
    assert "etcd-v3" in str(error)


def test_the_host_dies_while_others_wait(endpoint: str, run_id: str) -> None:
    """They are told at once, why, and what would have survived it."""
    with node(endpoint, run_id, 3, 3) as host:
        assert host.says() == "open"
        handler = client(endpoint, run_id, 3, 3)
        joining = start(handler.next_rendezvous)
        assert is_blocked(joining, 0.3)
        host.kill()
        check_lost(joining.exception(QUICK), endpoint)
        # And so is who asks anew.
        check_lost(start(handler.next_rendezvous).exception(QUICK), endpoint)
        assert start(handler.shutdown).result(PATIENCE) is False


def test_the_host_dies_after_the_round(endpoint: str, run_id: str) -> None:
    """Participants go on with their work; the store tells them, and so does the next round."""
    with node(endpoint, run_id, 2, 2) as host:
        assert host.says() == "open"
        handler = client(endpoint, run_id, 2, 2)
        info = start(handler.next_rendezvous).result(PATIENCE)
        assert host.says().endswith("of 2")
        reading = start(info.store.get, "never written")
        assert is_blocked(reading, 0.2)
        host.kill()
        check_lost(reading.exception(QUICK), endpoint)
        assert handler.num_nodes_waiting() == 0
        check_lost(start(handler.next_rendezvous).exception(QUICK), endpoint)


def test_a_suspended_host_holds_up_nobody_for_ever(endpoint: str, run_id: str) -> None:
    """Calls end after the read timeout, in daemon threads and in others; afterwards all goes on."""
    with node(endpoint, run_id, 3, 3) as host:
        assert host.says() == "open"
        params = RendezvousParameters("c10d", endpoint, run_id, 1, 3, is_host=False, read_timeout=1)
        backend, store = create_backend(params)
        with closing(backend):
            store.set("key", "value")
            waiting = start(store.wait, ["later"], PATIENCE)
            assert is_blocked(waiting, 0.1)
            with suspended(host.pid):
                with pytest.raises(RendezvousConnectionError, match=r"no answer for 1 s.*suspended"):
                    store.compare_set("key", "value", "other")
                with pytest.raises(RendezvousConnectionError, match=r"no answer for 1 s.*suspended"):
                    backend.get_state()
                for call in (lambda: store.check(["key"]), lambda: store.wait(["later"]), store.list_keys):
                    assert isinstance(start(call).exception(QUICK), RendezvousConnectionError)
                assert isinstance(waiting.exception(QUICK), RendezvousConnectionError)
            eventually(lambda: store.set("later", "now"))
            assert eventually(lambda: store.get("later")) == b"now"
            eventually(lambda: backend.set_state(b"state"))


def test_the_end_of_a_process(endpoint: str, run_id: str) -> None:
    """It ends well though its threads are inside torch's store, and has written nothing but its own."""
    quick: dict[str, Any] = {"keep_alive_interval": 0.05}
    environment = os.environ.pop("TORCH_CPP_LOG_LEVEL", None)
    try:
        with node(endpoint, run_id, 2, 2, **quick) as host:
            assert host.says() == "open"
            with node(endpoint, run_id, 2, 2, **quick) as other:
                assert other.says() == "open"
                assert {host.says(), other.says()} == {"0 of 2", "1 of 2"}
                # Each keep-alive of a node is a wait of the other that ran out of time.
                backend, _ = create_backend(RendezvousParameters("c10d", endpoint, run_id, 2, 2))
                with closing(backend):
                    until_all_have_beaten(backend, 5)
                assert other.end() == (0, "")
            assert host.end() == (0, "")
    finally:
        if environment is not None:
            os.environ["TORCH_CPP_LOG_LEVEL"] = environment
