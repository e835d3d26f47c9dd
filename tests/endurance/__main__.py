"""``python -m tests.endurance --minutes N``: a real group under kills and partitions; as root, with iproute2.

Half of the time over three etcd members, half over a Redis Cluster. ``--write`` puts the figures into
the docs.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.endurance.play import Play, play
from tests.endurance.promises import Found
from tests.redis.networks import network
from tests.support.pages import put_down

NAMED = {"etcd": "three etcd members", "redis": "a Redis Cluster"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    played: list[tuple[Found, Play]] = []
    seconds = 60 * options.minutes / len(NAMED)
    for kind in NAMED:
        with network() as net, TemporaryDirectory() as folder:
            played.append(play(kind, net, Path(folder), seconds, options.seed))
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines(options.minutes, played))
    print(table, flush=True)
    broken = [what for found, _ in played for what in found.broken]
    for what in broken:
        print("BROKEN", what)
    if broken:
        raise SystemExit(1)
    if options.write:
        put_down("reliability.md", "endurance", table)


def lines(minutes: float, played: Sequence[tuple[Found, Play]]) -> Iterator[list[str]]:
    """What became of each promise, a line each, and a column for each kind of servers."""
    yield ["promise, put to the test", *(f"over {name}" for name in NAMED.values())]
    yield ["---"] * (1 + len(NAMED))
    yield [f"befell it in {minutes / len(NAMED):g} minutes", *(group.befallen for _, group in played)]
    for promise in dict.fromkeys(promise for found, _ in played for promise in found.tried):
        yield [promise, *(f"{found.tried.get(promise, 0):,} times" for found, _ in played)]
    whole = "{:,} times, whole again in {:.0f} s at most"
    yield ["progress", *(whole.format(sum(group.acts.values()), group.slowest) for _, group in played)]


if __name__ == "__main__":
    main()
