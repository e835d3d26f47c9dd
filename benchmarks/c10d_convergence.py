"""How long N nodes take to form a round over a TCPStore, beside torch's own handler on the same one.

The server is a process of its own. Both contenders get clients that are connected already; how long
connecting takes is printed by itself, since the name server has a part in it: each end of a
connection asks for the other's name. The operations counted are the calls of the store that await
an answer, by whoever makes them. See `convergence` for what else is measured and for the options.

    python benchmarks/c10d_convergence.py --nodes 2 8 64 256 512 1000
"""

import contextlib
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import convergence
from torch.distributed import TCPStore
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import (
    C10dRendezvousBackend as TorchBackend,
)
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import DynamicRendezvousHandler as TorchHandler

from rendezvous_c10d import C10dRendezvousBackend
from rendezvous_c10d._c10d_store import C10dStore
from rendezvous_c10d._client import Client
from rendezvous_core import DynamicRendezvousHandler

REFERENCE = "torch c10d"

SERVER = """
import sys
from torch.distributed import TCPStore
store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
print(store.port, flush=True)
sys.stdin.read()
"""

METHODS = ["get", "look", "add", "compare_set", "check", "wait", "multi_get", "delete_key"]
"""Those that await an answer. A write without one is followed by a check, where ours must know of it."""


@contextlib.contextmanager
def tcp_store() -> Iterator[int]:
    """Host a TCPStore in a process of its own; yields its port."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def count_calls() -> list[convergence.Traffic]:
    """Have every call of a TCPStore counted by the last item of the list that is returned."""
    counters = [convergence.Traffic()]

    def counted(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            result = method(*arguments)
            size = sum(len(each) for each in (*arguments, result) if isinstance(each, bytes))
            counters[-1].count(name, size)
            return result

        return call

    for owner in (TCPStore, Client):
        for name in METHODS:
            if hasattr(owner, name):
                setattr(owner, name, counted(name, getattr(owner, name)))
    return counters


def connect(port: int, nodes: int) -> list[TCPStore]:
    """Connect one client per node, and say how long that took."""
    began = time.perf_counter()
    clients = [TCPStore("127.0.0.1", port, is_master=False, wait_for_workers=False) for _ in range(nodes)]
    print(f"connecting {nodes} clients: {time.perf_counter() - began:.3f} s", file=sys.stderr)
    return clients


@contextlib.contextmanager
def ours(port: int, counters: list[convergence.Traffic], nodes: int) -> Iterator[convergence.Handlers]:
    """N dynamic handlers of ours."""
    run_id = uuid.uuid4().hex
    stores = [C10dStore(client) for client in connect(port, nodes)]
    for store in stores:
        store.connect()
    backends = [C10dRendezvousBackend(store, run_id) for store in stores]
    handlers = [
        DynamicRendezvousHandler.from_backend(run_id, each.store, each, nodes, nodes, "localhost")
        for each in backends
    ]
    counters.append(convergence.Traffic())
    yield convergence.Handlers(
        [each.next_rendezvous for each in handlers], [each.shutdown for each in handlers], counters[-1]
    )
    # Thousands of connections that wait for the garbage collector would slow the next run.
    for store in stores:
        store.close()


@contextlib.contextmanager
def torchs(port: int, counters: list[convergence.Traffic], nodes: int) -> Iterator[convergence.Handlers]:
    """N dynamic handlers of torch."""
    run_id = uuid.uuid4().hex
    handlers = [
        TorchHandler.from_backend(run_id, each, TorchBackend(each, run_id), nodes, nodes, "localhost")
        for each in connect(port, nodes)
    ]
    counters.append(convergence.Traffic())
    # Closing would take them longer than all that is measured.
    ends = [each._stop_heartbeats for each in handlers]
    yield convergence.Handlers([each.next_rendezvous for each in handlers], ends, counters[-1])


def main() -> int:
    """Run the benchmark."""
    counters = count_calls()
    with tcp_store() as port:
        convergence.CONTENDERS.clear()
        convergence.CONTENDERS["c10d"] = partial(ours, port, counters)
        convergence.CONTENDERS[REFERENCE] = partial(torchs, port, counters)
        return convergence.main(REFERENCE)


if __name__ == "__main__":
    sys.exit(main())
