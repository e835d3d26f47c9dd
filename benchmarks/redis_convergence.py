"""How long N nodes take to form a round over Redis or Valkey, beside torch's own handler on a TCPStore.

One server, started here, serves all runs. See `convergence` for what is measured and for the options.

    python benchmarks/redis_convergence.py --nodes 2 8 64 256 1000
"""

import contextlib
import sys
import uuid
from collections.abc import Iterator
from functools import partial

import convergence

from rendezvous_redis import RedisRendezvousBackend, RedisRun, RedisServer, RedisStore

REFERENCE = "torch c10d"


@contextlib.contextmanager
def redis(endpoint: str, nodes: int) -> Iterator[convergence.Handlers]:
    """N dynamic handlers, each with connections of its own."""
    run_id = uuid.uuid4().hex
    runs = [RedisRun(endpoint, run_id) for _ in range(nodes)]
    backends, stores = iter(runs), iter(runs)
    yield convergence.ours(
        nodes, lambda _: RedisRendezvousBackend(next(backends)), lambda _: RedisStore(next(stores))
    )
    for run in runs:
        run.close()


def main() -> int:
    """Run the benchmark."""
    with RedisServer() as server:
        convergence.CONTENDERS.clear()
        convergence.CONTENDERS["redis"] = partial(redis, server.endpoint)
        convergence.CONTENDERS[REFERENCE] = convergence.torch_c10d
        return convergence.main(REFERENCE)


if __name__ == "__main__":
    sys.exit(main())
