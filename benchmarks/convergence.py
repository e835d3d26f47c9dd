"""How long N nodes take to form a round, and what it costs the backend.

For each contender and each N: N handlers in one process, each on a thread of its own, with
``min_nodes = max_nodes = N``; the time from the first call of ``next_rendezvous`` until all hold a
rank; the operations and bytes that reach the backend, per node. Connecting happens before the clock
starts. Where torch is installed, its own dynamic handler on a TCPStore runs beside ours.

    python benchmarks/convergence.py --nodes 2 8 64 256 --repeat 3 --plot convergence.svg
"""

import argparse
import contextlib
import importlib.util
import json
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rendezvous_core import DynamicRendezvousHandler, Members, MembershipBackend, Store, Token
from rendezvous_core.sqlite.backend import SqliteBackend
from rendezvous_core.sqlite.store import SqliteStore
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore

JOIN_TIMEOUT = 600


@dataclass
class Result:
    """One contender at one N."""

    contender: str
    nodes: int
    seconds: float
    operations_per_node: float | None
    bytes_per_node: float | None
    failure: str = ""
    """Why not all got a rank; empty where they did."""


@dataclass
class Handlers:
    """What a contender offers for one run."""

    join: list[Callable[[], Any]]
    end: list[Callable[[], Any]]
    traffic: "Traffic | None" = None


class Traffic:
    """Counts what reaches the backends of one run."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.bytes = 0
        self._lock = threading.Lock()

    def count(self, operation: str, size: int = 0) -> None:
        with self._lock:
            self.operations[operation] += 1
            self.bytes += size


class CountingBackend(MembershipBackend):
    """Passes everything on, and counts it."""

    def __init__(self, backend: MembershipBackend, traffic: Traffic) -> None:
        self._backend, self._traffic = backend, traffic

    @property
    def name(self) -> str:
        return self._backend.name

    def get_state(self) -> tuple[bytes, Token] | None:
        found = self._backend.get_state()
        self._traffic.count("get_state", len(found[0]) if found else 0)
        return found

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        self._traffic.count("set_state", len(state))
        return self._backend.set_state(state, token)

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        self._traffic.count("put_member", len(record))
        self._backend.put_member(node, record, announce=announce)

    def remove_member(self, node: str) -> None:
        self._traffic.count("remove_member")
        self._backend.remove_member(node)

    def members(self) -> Members:
        listed = self._backend.members()
        self._traffic.count("members", sum(map(len, listed.records.values())))
        return listed

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        self._traffic.count("wait_for_change")
        return self._backend.wait_for_change(token, timeout, members)

    def close(self) -> None:
        self._backend.close()


def ours(nodes: int, backends: Callable[[str], MembershipBackend], store: Callable[[str], Store]) -> Handlers:
    """N dynamic handlers of ours over ``backends``."""
    run_id = uuid.uuid4().hex
    traffic = Traffic()
    handlers = [
        DynamicRendezvousHandler.from_backend(
            run_id, store(run_id), CountingBackend(backends(run_id), traffic), nodes, nodes, "localhost"
        )
        for _ in range(nodes)
    ]
    return Handlers(
        [handler.next_rendezvous for handler in handlers],
        [handler.shutdown for handler in handlers],
        traffic,
    )


@contextlib.contextmanager
def memory(nodes: int) -> Iterator[Handlers]:
    """Ours, on a server in this process."""
    server = MemoryServer()
    yield ours(
        nodes, lambda run_id: MemoryBackend(server, run_id), lambda run_id: MemoryStore(server, run_id)
    )


@contextlib.contextmanager
def sqlite(nodes: int) -> Iterator[Handlers]:
    """Ours, on one file."""
    # The threads of the nodes outlive the round for a moment, in which they may make the file again.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = str(Path(folder) / "rendezvous.db")
        yield ours(
            nodes, lambda run_id: SqliteBackend(path, run_id), lambda run_id: SqliteStore(path, run_id)
        )


@contextlib.contextmanager
def torch_c10d(nodes: int) -> Iterator[Handlers]:
    """torch's own handler, on a TCPStore; its backend's calls are few per attempt and not counted."""
    from torch.distributed import TCPStore
    from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import C10dRendezvousBackend
    from torch.distributed.elastic.rendezvous.dynamic_rendezvous import DynamicRendezvousHandler as Torch

    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    run_id = uuid.uuid4().hex
    clients = [TCPStore("127.0.0.1", server.port, is_master=False) for _ in range(nodes)]
    handlers = [
        Torch.from_backend(run_id, client, C10dRendezvousBackend(client, run_id), nodes, nodes, "localhost")
        for client in clients
    ]
    yield Handlers([each.next_rendezvous for each in handlers], [each.shutdown for each in handlers])


CONTENDERS: dict[str, Callable[[int], contextlib.AbstractContextManager[Handlers]]] = {
    "memory": memory,
    "sqlite": sqlite,
    "torch c10d": torch_c10d,
}


def in_threads(calls: Sequence[Callable[[], Any]]) -> None:
    """Make all calls at once; raises the first error."""
    errors: list[BaseException] = []

    def guarded(call: Callable[[], Any]) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(JOIN_TIMEOUT)
    if errors:
        raise errors[0]


def measure(contender: str, nodes: int) -> Result:
    """Form one round."""
    with CONTENDERS[contender](nodes) as handlers:
        gate = threading.Event()

        def joiner(join: Callable[[], Any]) -> Callable[[], Any]:
            def joining() -> None:
                gate.wait()
                join()

            return joining

        with ThreadPoolExecutor(1) as starter:
            joined = starter.submit(in_threads, [joiner(join) for join in handlers.join])
            began = time.perf_counter()
            gate.set()
            error = joined.exception()
        seconds = time.perf_counter() - began
        traffic = handlers.traffic
        operations = traffic.operations.total() / nodes if traffic else None
        size = traffic.bytes / nodes if traffic else None
        in_threads(handlers.end)
    return Result(contender, nodes, seconds, operations, size, type(error).__name__ if error else "")


HEADER = f"{'contender':<12} {'N':>5} {'seconds':>10} {'ops/node':>9} {'bytes/node':>11} {'faster':>9}"


def print_lines(results: list[Result], reference: str) -> None:
    """Print one line per contender at one N, with the ratio to the reference where it ran."""
    times = {result.contender: result.seconds for result in results if not result.failure}
    for result in results:
        peer = times.get(reference)
        ratio = f"{peer / result.seconds:8.1f}x" if peer and result.contender != reference else ""
        ratio = f"  {result.failure}" if result.failure else ratio
        operations = "" if result.operations_per_node is None else f"{result.operations_per_node:9.1f}"
        size = "" if result.bytes_per_node is None else f"{result.bytes_per_node:11.0f}"
        print(
            f"{result.contender:<12} {result.nodes:>5} {result.seconds:>10.4f} "
            f"{operations:>9} {size:>11} {ratio:>9}",
            flush=True,
        )


def write_plot(results: list[Result], path: str) -> None:
    """Draw the times on logarithmic axes. Needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for contender in dict.fromkeys(result.contender for result in results):
        mine = [result for result in results if result.contender == contender and not result.failure]
        axes.plot([each.nodes for each in mine], [each.seconds for each in mine], marker="o", label=contender)
    axes.set(xscale="log", yscale="log", xlabel="nodes", ylabel="seconds until all hold a rank")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)


def main(reference: str = "torch c10d") -> int:
    """Run the benchmark; ``reference`` is whom the others are compared with."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="+", default=[2, 8, 32, 64, 128, 256, 512])
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=None)
    parser.add_argument("--repeat", type=int, default=3, help="runs per cell; the median counts")
    parser.add_argument(
        "--torch-limit", type=int, default=256, help="largest N for torch, which takes minutes"
    )
    parser.add_argument("--plot", help="where to write a plot")
    parser.add_argument("--json", help="where to write the results")
    options = parser.parse_args()

    contenders = options.contenders or list(CONTENDERS)
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed: its own handlers are left out", file=sys.stderr)
        contenders = [contender for contender in contenders if not contender.startswith("torch")]
    results = []
    print(HEADER)
    for nodes in options.nodes:
        of_nodes = []
        for contender in contenders:
            slow = contender.startswith("torch")
            if slow and nodes > options.torch_limit:
                continue
            runs = [measure(contender, nodes) for _ in range(1 if slow and nodes > 64 else options.repeat)]
            middle = statistics.median_low(run.seconds for run in runs)
            failed = [run for run in runs if run.failure]
            of_nodes.append(failed[0] if failed else next(run for run in runs if run.seconds == middle))
        print_lines(of_nodes, reference)
        results += of_nodes
    if options.plot:
        write_plot(results, options.plot)
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(result) for result in results], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
