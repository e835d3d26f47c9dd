"""What a secret costs: ``python -m benchmarks.sealing --write``.

Groups of a process per node form rounds with and without a secret in turn, so that what else the machine
does hits both alike. The quickest rounds are those that were disturbed least.
"""

import argparse
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import measures
from benchmarks.contenders import Plan
from benchmarks.group import Group, GroupError, prepare
from benchmarks.tables import write
from rendezvous_core import RendezvousParameters
from rendezvous_core.registry import create_backend, create_store
from rendezvous_core.sealing.keys import Keyring
from rendezvous_core.sealing.seal import Seal

PAGE = Path(__file__).with_name("README.md")
SECRET = "the secret of this benchmark"
TIMES = 300
LIMIT = 60.0


class Took(NamedTuple):
    """Seconds of one round; the processor's are those of all its nodes."""

    clock: float
    processor: float


def form(plan: Plan) -> Took:
    """Form one round of nodes that are connected before, each in a process of its own."""
    with Group(plan, plan.max_nodes) as group:
        before = group.ask("usage", "used", group.seats)
        clock = measures.form(group, LIMIT)
        after = group.ask("usage", "used", group.seats)
    if clock is None:
        raise GroupError(f"the round did not form within {LIMIT:g} s")
    return Took(clock, sum(after) - sum(before))


def compare(backend: str, endpoint: str, nodes: int, repeat: int) -> Iterator[str]:
    """Say what rounds of each kind take, so many of each, formed in turn."""
    plan = Plan(backend, endpoint, "", nodes, nodes, 1, 3, 0.5)
    took: dict[str, list[Took]] = {"": [], SECRET: []}
    for index in range(repeat):
        for secret in sorted(took, reverse=bool(index % 2)):
            took[secret].append(form(replace(plan, secret=secret)))
    for what, index, pick in (
        ("clock, median", 0, statistics.median),
        ("clock, quickest", 0, min),
        ("processor, median", 1, statistics.median),
        ("processor, quickest", 1, min),
    ):
        without, sealed = (pick(each[index] for each in took[secret]) for secret in took)
        times = f"{without * 1000:.1f} ms | {sealed * 1000:.1f} ms | {sealed / without - 1:+.1%}"
        yield f"| {backend} | {nodes} nodes, {what} | {times} |"


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
    prepare(["sqlite", "redis"])
    lines = ["| backend | | clear | sealed | |", "|---|---|---:|---:|---:|"]
    print(*lines, sep="\n")
    for line in measure(options.nodes, options.repeat):
        print(line, flush=True)
        lines.append(line)
    lines += [
        "",
        f"Taken on {time.strftime('%Y-%m-%d')} with {os.cpu_count()} processors: {options.repeat} rounds of "
        f"either kind, and the medians of {TIMES} operations.",
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
