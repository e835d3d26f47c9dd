"""What a secret costs: ``python -m benchmarks.sealing``.

Groups of one process form rounds with and without a secret in turn, so that what else the machine does
hits both alike; processor time is compared, and what passes on the clock is told beside it.
"""

import argparse
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.registry import create_backend, create_store
from rendezvous_core.sealing.keys import Keyring
from rendezvous_core.sealing.seal import Seal

SECRET = "the secret of this benchmark"
TIMES = 300


class Took(NamedTuple):
    """Seconds of one round."""

    processor: float
    clock: float


def form(backend: str, endpoint: str, nodes: int, **options: str) -> Took:
    """Form one round of handlers that are connected before; return what it took."""
    run = uuid.uuid4().hex
    handlers: list[RendezvousHandler] = [
        get_rendezvous_handler(
            RendezvousParameters(backend, endpoint, run, nodes, nodes, "127.0.0.1", **options)
        )
        for _ in range(nodes)
    ]
    threads = [threading.Thread(target=handler.next_rendezvous) for handler in handlers]
    clock, processor = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = Took(time.process_time() - processor, time.perf_counter() - clock)
    for handler in handlers:
        handler.leave()
    for handler in handlers:
        handler.shutdown()
    return took


def compare(backend: str, endpoint: str, nodes: int, repeat: int) -> None:
    """Print the medians of so many rounds of each kind, formed in turn."""
    took: dict[str, list[Took]] = {"": [], SECRET: []}
    form(backend, endpoint, 2, secret=SECRET)  # what is imported and cached is so before
    for index in range(repeat):
        for secret in sorted(took, reverse=bool(index % 2)):
            took[secret].append(form(backend, endpoint, nodes, **({"secret": secret} if secret else {})))
    for index, what in enumerate(Took._fields):
        without, sealed = (statistics.median(each[index] for each in took[secret]) for secret in took)
        print(
            f"| {backend} | {nodes} nodes, {what} | {without * 1000:.1f} ms | {sealed * 1000:.1f} ms "
            f"| {sealed / without - 1:+.1%} |",
            flush=True,
        )


def compare_stores(backend: str, endpoint: str) -> None:
    """Print what operations of the store take, with and without ``seal_store``."""
    took: dict[str, dict[str, float]] = {}
    for kind, options in {"clear": {}, "sealed": {"seal_store": "true"}}.items():
        run = uuid.uuid4().hex
        params = RendezvousParameters(backend, endpoint, run, 1, 1, secret=SECRET, **options)
        opened = create_backend(params)
        store = create_store(params, opened)
        operations: dict[str, Callable[[], object]] = {
            "set": lambda store=store: store.set("key", b"v" * 100),  # type: ignore[misc]
            "get": lambda store=store: store.get("key"),  # type: ignore[misc]
            "add": lambda store=store: store.add("count", 1),  # type: ignore[misc]
            "append": lambda store=store: store.append("log", b"."),  # type: ignore[misc]
            "compare_set": lambda store=store: store.compare_set("key", b"v" * 100, b"v" * 100),  # type: ignore[misc]
        }
        took[kind] = {name: _median(operation) for name, operation in operations.items()}
        opened.close()
    for name, clear in took["clear"].items():
        sealed = took["sealed"][name]
        times = f"{clear * 1e6:.0f} us | {sealed * 1e6:.0f} us | {sealed / clear - 1:+.0%}"
        print(f"| {backend} | store.{name} | {times} |")


def compare_records() -> None:
    """Print what it takes to seal and to open one record."""
    seal = Seal(Keyring(SECRET), "run")
    for size in (300, 3_000, 100_000):
        data = b"x" * size
        sealed = seal.seal("state", "", data)
        seals = _median(partial(seal.seal, "state", "", data))
        opens = _median(partial(seal.open, "state", "", sealed))
        print(f"| | {size} bytes | seal {seals * 1e6:.1f} us | open {opens * 1e6:.1f} us | |")


def _median(operation: Callable[[], object]) -> float:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        operation()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sealing", description=__doc__)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=15)
    options = parser.parse_args()
    print("| backend | | clear | sealed | |\n|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "run.db")
        compare("sqlite", path, options.nodes, options.repeat)
        compare_stores("sqlite", path)
    from rendezvous_redis import RedisServer

    with RedisServer() as server:
        compare("redis", server.endpoint, options.nodes, options.repeat)
        compare_stores("redis", server.endpoint)
    compare_records()


if __name__ == "__main__":
    main()
