"""What a secret costs: ``python -m benchmarks.sealing --write``.

Groups of one process form rounds with and without a secret in turn, so that what else the machine does
hits both alike. The quickest rounds are those that were disturbed least.
"""

import argparse
import os
import statistics
import tempfile
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from benchmarks.tables import write
from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.registry import create_backend, create_store
from rendezvous_core.sealing.keys import Keyring
from rendezvous_core.sealing.seal import Seal

PAGE = Path(__file__).with_name("README.md")
SECRET = "the secret of this benchmark"
TIMES = 300


class Took(NamedTuple):
    """Seconds of one round."""

    processor: float
    clock: float
    sealing: float
    """Of the processor time, as far as it was counted."""


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
    _spent.clear()
    clock, processor = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = Took(time.process_time() - processor, time.perf_counter() - clock, sum(_spent))
    for handler in handlers:
        handler.leave()
    for handler in handlers:
        handler.shutdown()
    return took


def compare(backend: str, endpoint: str, nodes: int, repeat: int) -> Iterator[str]:
    """Say what rounds of each kind take, so many of each, formed in turn."""
    took: dict[str, list[Took]] = {"": [], SECRET: []}
    form(backend, endpoint, 2, secret=SECRET)  # what is imported and cached is so before
    for index in range(repeat):
        for secret in sorted(took, reverse=bool(index % 2)):
            took[secret].append(form(backend, endpoint, nodes, **({"secret": secret} if secret else {})))
    for what, index, pick in (
        ("processor, median", 0, statistics.median),
        ("processor, quickest", 0, min),
        ("clock, median", 1, statistics.median),
        ("clock, quickest", 1, min),
    ):
        without, sealed = (pick(each[index] for each in took[secret]) for secret in took)
        times = f"{without * 1000:.1f} ms | {sealed * 1000:.1f} ms | {sealed / without - 1:+.1%}"
        yield f"| {backend} | {nodes} nodes, {what} | {times} |"
    with counted():
        shares = [form(backend, endpoint, nodes, secret=SECRET) for _ in range(repeat)]
    own, whole = (statistics.median(each[index] for each in shares) for index in (2, 0))
    within = f"{own * 1000:.1f} ms of {whole * 1000:.1f} ms | {own / (whole - own):+.1%}"
    yield f"| {backend} | {nodes} nodes, processor within the seal | | {within} |"


_spent: list[float] = []


@contextmanager
def counted() -> Iterator[None]:
    """Count the processor time of each call that seals or opens, keys that are derived for it included."""

    def timed(method: Callable[..., bytes]) -> Callable[..., bytes]:
        def call(*arguments: Any) -> bytes:
            began = time.thread_time()
            try:
                return method(*arguments)
            finally:
                _spent.append(time.thread_time() - began)

        return call

    with (
        mock.patch.object(Seal, "seal", timed(Seal.seal)),
        mock.patch.object(Seal, "open", timed(Seal.open)),
    ):
        yield


def compare_stores(backend: str, endpoint: str) -> Iterator[str]:
    """Say what operations of the store take, with and without ``seal_store``."""
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
        yield f"| {backend} | store.{name} | {times} |"


def compare_records() -> Iterator[str]:
    """Say what it takes to seal and to open one record."""
    seal = Seal(Keyring(SECRET), "run")
    for size in (300, 3_000, 100_000):
        data = b"x" * size
        sealed = seal.seal("state", "", data)
        seals = _median(partial(seal.seal, "state", "", data))
        opens = _median(partial(seal.open, "state", "", sealed))
        took = f"sealed in {seals * 1e6:.1f} us | opened in {opens * 1e6:.1f} us"
        yield f"| | a record of {size:,} bytes | | {took} |"


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
    parser.add_argument("--repeat", type=int, default=21)
    parser.add_argument("--write", action="store_true", help="put the table into the page")
    options = parser.parse_args()
    loads = [os.getloadavg()[0]]
    lines = ["| backend | | clear | sealed | |", "|---|---|---:|---:|---:|"]
    print(*lines, sep="\n")
    for line in measure(options.nodes, options.repeat):
        print(line, flush=True)
        lines.append(line)
    loads.append(os.getloadavg()[0])
    lines += [
        "",
        textwrap.fill(
            f"Taken on {time.strftime('%Y-%m-%d')}: {options.repeat} rounds of either kind, and the medians "
            f"of {TIMES} operations. Of {os.cpu_count()} processors, {loads[0]:.1f} were wanted before it "
            f"began, and {loads[1]:.1f} when it ended, its own among them.",
            118,
        ),
    ]
    if options.write:
        write(PAGE, {"sealing": "\n".join(lines)})


def measure(nodes: int, repeat: int) -> Iterator[str]:
    """Make the lines of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "run.db")
        yield from compare("sqlite", path, nodes, repeat)
        yield from compare_stores("sqlite", path)
    from rendezvous_redis import RedisServer

    with RedisServer() as server:
        yield from compare("redis", server.endpoint, nodes, repeat)
        yield from compare_stores("redis", server.endpoint)
    yield from compare_records()


if __name__ == "__main__":
    main()
