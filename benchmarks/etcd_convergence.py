"""How long N nodes take to form a round over etcd: ours over both APIs, and torch's own beside them.

One server serves all contenders in turn. See `convergence` for what is measured and for the options;
`--contenders etcd-v3 etcd-v2 "torch etcd-v2"` is what is compared here.

    python benchmarks/etcd_convergence.py --nodes 2 8 64 256
"""

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import convergence

from rendezvous_core import MembershipBackend, RendezvousParameters, Store
from rendezvous_etcd import EtcdServer, create_backend

REFERENCE = "torch etcd-v2"


@contextlib.contextmanager
def ours(name: str, endpoint: str, nodes: int) -> Iterator[convergence.Handlers]:
    """N dynamic handlers, each with a client of its own."""
    run_id = uuid.uuid4().hex
    params = RendezvousParameters(name, endpoint, run_id, nodes, nodes)
    opened: list[tuple[MembershipBackend, Store]] = [create_backend(params) for _ in range(nodes)]
    backends, stores = iter(opened), iter(opened)
    yield convergence.ours(nodes, lambda run: next(backends)[0], lambda run: next(stores)[1])
    for backend, _ in opened:
        backend.close()


@contextlib.contextmanager
def theirs(endpoint: str, nodes: int) -> Iterator[convergence.Handlers]:
    """torch's dynamic handler on its backend for etcd."""
    from torch.distributed.elastic.rendezvous import RendezvousParameters as Parameters
    from torch.distributed.elastic.rendezvous.dynamic_rendezvous import create_handler
    from torch.distributed.elastic.rendezvous.etcd_rendezvous_backend import create_backend as create

    params = Parameters("etcd-v2", endpoint, uuid.uuid4().hex, nodes, nodes, "localhost")
    handlers: list[Any] = []
    for _ in range(nodes):
        backend, store = create(params)
        handlers.append(create_handler(store, backend, params))
    yield convergence.Handlers(
        [each.next_rendezvous for each in handlers], [each.shutdown for each in handlers]
    )


def main() -> int:
    """Run the benchmark."""
    server = EtcdServer()
    server.start(stderr=subprocess.DEVNULL)
    try:
        endpoint = server.get_endpoint()
        contenders: dict[str, Callable[[int], contextlib.AbstractContextManager[convergence.Handlers]]] = {
            "etcd-v3": partial(ours, "etcd-v3", endpoint),
            "etcd-v2": partial(ours, "etcd-v2", endpoint),
            REFERENCE: partial(theirs, endpoint),
        }
        convergence.CONTENDERS.clear()
        convergence.CONTENDERS.update(contenders)
        return convergence.main(REFERENCE)
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
