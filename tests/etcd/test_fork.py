"""Children of a process that holds a handler, a backend and a store."""

import contextlib
import gc
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator

import pytest

from rendezvous_core import RendezvousError, RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.testing.suites.threads import start
from rendezvous_etcd import EtcdServer, create_backend
from tests.etcd.waiting import PATIENCE, until

NAMES = pytest.mark.parametrize("name", ["etcd-v3", "etcd-v2", "etcd"])


@pytest.fixture
def create(server: EtcdServer) -> Iterator[Callable[[str], RendezvousHandler]]:
    handlers: list[RendezvousHandler] = []

    def create(name: str) -> RendezvousHandler:
        params = RendezvousParameters(name, server.get_endpoint(), uuid.uuid4().hex, 1, 1, "localhost")
        handlers.append(get_rendezvous_handler(params))
        return handlers[-1]

    yield create
    for handler in handlers:
        handler.shutdown()


def fork(work: Callable[[], object]) -> int:
    """Have a forked child do ``work``, and return its exit code; fail if it hangs."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    timer = threading.Timer(PATIENCE, os.kill, (child, 9))
    timer.start()
    _, status = os.waitpid(child, 0)
    timer.cancel()
    return os.waitstatus_to_exitcode(status)


@NAMES
def test_a_child_that_does_not_touch_it_ends(name: str, create: Callable[[str], RendezvousHandler]) -> None:
    handler = create(name)
    info = handler.next_rendezvous()
    reading = start(info.store.get, "key")

    def work() -> None:
        nonlocal handler, info
        del handler, info
        gc.collect()

    for _ in range(5):
        assert fork(work) == 0
    info.store.set("key", b"value")
    assert reading.result(PATIENCE) == b"value"
    assert handler.num_nodes_waiting() == 0


@NAMES
def test_a_child_that_uses_it_is_told(name: str, create: Callable[[str], RendezvousHandler]) -> None:
    handler = create(name)
    store = handler.next_rendezvous().store

    def work() -> None:
        for call in (handler.next_rendezvous, lambda: store.set("key", b"child"), lambda: store.get("other")):
            with pytest.raises(RendezvousError, match="forked child"):
                call()
        with contextlib.suppress(RendezvousError):
            handler.shutdown()

    assert fork(work) == 0
    assert not store.check(["key"])
    assert not handler.is_closed(), "the child's shutdown concerns nobody"


@pytest.mark.parametrize("name", ["etcd-v3", "etcd-v2"])
def test_a_child_may_drop_and_close_a_backend(name: str, server: EtcdServer) -> None:
    params = RendezvousParameters(name, server.get_endpoint(), uuid.uuid4().hex, 1, 1)
    backend, store = create_backend(params)
    waiting = start(backend.wait_for_change, None, PATIENCE)

    def work() -> None:
        backend.close()
        backend.close()

    assert fork(work) == 0
    store.set("key", b"value")
    backend.set_state(b"state")
    assert waiting.result(PATIENCE)
    backend.close()


@NAMES
def test_a_child_that_runs_to_its_regular_end(name: str, server: EtcdServer) -> None:
    """With everything that happens at the exit of an interpreter; its parent then ends regularly too."""
    script = """
import os, sys
from rendezvous_core import RendezvousParameters, get_rendezvous_handler
params = RendezvousParameters(sys.argv[1], sys.argv[2], sys.argv[3], 1, 1, "localhost")
handler = get_rendezvous_handler(params)
store = handler.next_rendezvous().store
child = os.fork()
if child == 0:
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
store.set("key", b"value")
"""
    subprocess.run(
        [sys.executable, "-c", script, name, server.get_endpoint(), uuid.uuid4().hex],
        timeout=PATIENCE,
        check=True,
    )


def test_dropping_a_backend_ends_its_thread(server: EtcdServer) -> None:
    params = RendezvousParameters("etcd-v3", server.get_endpoint(), uuid.uuid4().hex, 1, 1)
    before = set(threading.enumerate())
    backend, store = create_backend(params)
    (thread,) = (each for each in set(threading.enumerate()) - before if "watch" in each.name)
    del backend, store
    gc.collect()
    until(lambda: not thread.is_alive())
