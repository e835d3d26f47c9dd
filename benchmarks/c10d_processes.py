"""How long N nodes of several processes take to form a round over one TCPStore.

As `c10d_convergence`, but nearer to life, where each node is a process: the threads of all nodes do not
share one interpreter. The clock runs from the first call of ``next_rendezvous`` in any process until
the last node of all holds a rank.

    python benchmarks/c10d_processes.py --processes 4 --nodes 64 256 1000
"""

import argparse
import multiprocessing
import os
import statistics
import time
import uuid
from multiprocessing.connection import Connection

import convergence
from c10d_convergence import connect, tcp_store

from rendezvous_c10d import C10dRendezvousBackend
from rendezvous_c10d._c10d_store import C10dStore
from rendezvous_core import DynamicRendezvousHandler


def take_part(port: int, run_id: str, mine: int, nodes: int, parent: Connection) -> None:
    """Be ``mine`` of the nodes: say when they are connected, go when told to, tell from when to when."""
    backends = [C10dRendezvousBackend(client, run_id) for client in connect(port, mine)]
    for backend in backends:
        assert isinstance(backend.store, C10dStore)
        backend.store.connect()
    handlers = [
        DynamicRendezvousHandler.from_backend(run_id, each.store, each, nodes, nodes, "localhost")
        for each in backends
    ]
    parent.send("connected")
    parent.recv()
    began = time.monotonic()  # one clock for all processes of a machine
    convergence.in_threads([each.next_rendezvous for each in handlers])
    parent.send((began, time.monotonic()))
    parent.recv()
    os._exit(0)  # the round is not to be closed node by node


def measure(processes: int, nodes: int) -> float:
    """Form one round; return the seconds it took."""
    context = multiprocessing.get_context("spawn")
    with tcp_store() as port:
        run_id = uuid.uuid4().hex
        ends = []
        for number in range(processes):
            here, there = context.Pipe()
            mine = nodes // processes + (number < nodes % processes)
            context.Process(target=take_part, args=(port, run_id, mine, nodes, there), daemon=True).start()
            there.close()
            ends.append(here)
        for word in ("go", "end"):
            answers = [end.recv() for end in ends]
            for end in ends:
                end.send(word)
    return max(ended for _, ended in answers) - min(began for began, _ in answers)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="+", default=[64, 256, 1000])
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3, help="runs per size; the median counts")
    options = parser.parse_args()
    for nodes in options.nodes:
        seconds = sorted(measure(options.processes, nodes) for _ in range(options.repeat))
        print(
            f"{options.processes} processes, {nodes:>5} nodes: {statistics.median(seconds):.3f} s", flush=True
        )


if __name__ == "__main__":
    main()
