"""What a run costs its Redis or Valkey server, and how fast the shared store is.

Three tables, all against a server that is started here:

- the commands of N nodes while they form a round, per node;
- the commands of the same nodes while they run, per node and keep-alive interval;
- operations of the store per second, by one thread, beside torch's TCPStore where torch is installed.

    python benchmarks/redis_operations.py --nodes 64 --intervals 3
"""

import argparse
import importlib.util
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import redis
from convergence import in_threads

from rendezvous_core import DynamicRendezvousHandler
from rendezvous_redis import RedisRendezvousBackend, RedisRun, RedisServer, RedisStore

INTERVAL = 2.0
"""Seconds between heartbeats; the counts do not depend on it."""

SENT = ("eval", "evalsha", "hmget", "hgetall", "hget", "xread", "xrevrange", "hdel")
"""What clients of ours send while they meet; scripts use other commands, but for some `hget`."""


class Commands:
    """Counts what the server was asked since the last look."""

    def __init__(self, server: RedisServer) -> None:
        self._client = redis.Redis(server.host, server.port)
        self._seen = self._count()

    def since(self) -> Counter[str]:
        """Return the commands since the last call."""
        now = self._count()
        counted = now - self._seen
        self._seen = now
        return counted

    def _count(self) -> Counter[str]:
        stats: Any = self._client.info("commandstats")
        return Counter({name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in SENT})


def print_commands(title: str, counted: Mapping[str, int], shares: float) -> None:
    """Print ``counted`` divided into ``shares``."""
    print(f"\n{title}: {sum(counted.values()) / shares:.1f}")
    for name, calls in sorted(counted.items(), key=lambda item: -item[1]):
        print(f"  {name:<10} {calls / shares:6.2f}")


def measure_rounds(server: RedisServer, nodes: int, intervals: int) -> None:
    """Count the commands of a round that forms, and of one that runs."""
    run_id = uuid.uuid4().hex
    runs = [RedisRun(server.endpoint, run_id) for _ in range(nodes)]
    handlers = [
        DynamicRendezvousHandler.from_backend(
            run_id,
            RedisStore(run),
            RedisRendezvousBackend(run),
            nodes,
            nodes,
            "localhost",
            keep_alive_interval=INTERVAL,
        )
        for run in runs
    ]
    commands = Commands(server)
    infos: list[Any] = []
    in_threads([lambda each=each: infos.append(each.next_rendezvous()) for each in handlers])
    print_commands(f"commands per node, {nodes} nodes form a round", commands.since(), nodes)
    threading.Event().wait(INTERVAL)  # the first heartbeats after the round
    commands.since()
    threading.Event().wait(intervals * INTERVAL)
    print_commands(f"commands per node and interval, {nodes} nodes run", commands.since(), nodes * intervals)
    in_threads([handler.shutdown for handler in handlers])


def operations(store: Any) -> dict[str, Callable[[], Any]]:
    """What is measured of a store."""
    value = b"x" * 100
    keys = [f"many/{number}" for number in range(10)]
    store.set("key", value)
    store.add("number", 1)
    store.multi_set(keys, [value] * len(keys))
    return {
        "set": lambda: store.set("key", value),
        "get": lambda: store.get("key"),
        "add": lambda: store.add("number", 1),
        "compare_set": lambda: store.compare_set("cas", "", "x"),
        "append": lambda: store.append("short", ""),
        "check": lambda: store.check(["key"]),
        "multi_set of 10": lambda: store.multi_set(keys, [value] * len(keys)),
        "multi_get of 10": lambda: store.multi_get(keys),
        "queue_push + queue_pop": lambda: (store.queue_push("queue", value), store.queue_pop("queue")),
    }


def per_second(call: Callable[[], Any], seconds: float) -> float:
    """Return how often ``call`` can be made in a second."""
    calls = 0
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        for _ in range(50):
            call()
        calls += 50
    return calls / passed


def wake_up(reader: Any, writer: Any, times: int = 100) -> float:
    """Return the seconds from a write until a reader that blocks has the value: the median."""
    taken = []
    for number in range(times):
        arrived: list[float] = []
        waiting = threading.Thread(
            target=lambda number=number, arrived=arrived: (
                reader.get(f"wake/{number}"),
                arrived.append(time.perf_counter()),
            )
        )
        waiting.start()
        threading.Event().wait(0.01)  # until it blocks
        began = time.perf_counter()
        writer.set(f"wake/{number}", b"")
        waiting.join()
        taken.append(arrived[0] - began)
    return sorted(taken)[len(taken) // 2]


def measure_stores(server: RedisServer, seconds: float) -> None:
    """Print the speed of the stores."""
    run_id = uuid.uuid4().hex
    stores: dict[str, tuple[Any, Any]] = {
        "redis": (
            RedisStore(RedisRun(server.endpoint, run_id)),
            RedisStore(RedisRun(server.endpoint, run_id)),
        )
    }
    if importlib.util.find_spec("torch"):
        from torch.distributed import TCPStore

        host = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        stores["TCPStore"] = tuple(TCPStore("127.0.0.1", host.port, is_master=False) for _ in range(2))
    speeds = {
        name: {each: per_second(call, seconds) for each, call in operations(store).items()}
        for name, (store, _) in stores.items()
    }
    print(f"\n{'operations per second':<24}" + "".join(f"{name:>12}" for name in stores))
    for operation in speeds["redis"]:
        print(f"{operation:<24}" + "".join(f"{speeds[name][operation]:>12.0f}" for name in stores))
    waked = {name: wake_up(*pair) for name, pair in stores.items()}
    print(f"{'blocked get, us':<24}" + "".join(f"{waked[name] * 1e6:>12.0f}" for name in stores))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--intervals", type=int, default=3, help="keep-alive intervals to watch a round for")
    parser.add_argument("--seconds", type=float, default=1.0, help="per operation of the store")
    options = parser.parse_args()
    with RedisServer() as server:
        measure_rounds(server, options.nodes, options.intervals)
        measure_stores(server, options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
