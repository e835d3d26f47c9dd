"""``python -m tests.endurance --minutes N``: a real group under kills and partitions; as root, with iproute2.

Half of the time over three etcd members, half over a Redis Cluster. ``--write`` puts the figures into
the docs.
"""

import argparse
import random
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.endurance.play import play
from tests.redis.networks import network
from tests.support.pages import put_down

NAMED = {"etcd": "three etcd members", "redis": "Redis Cluster"}
HEAD = "| over | minutes | what befell it | promise | put to the test |\n|---|---|---|---|---|\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    table, broken = HEAD, []
    for kind, name in NAMED.items():
        seconds = 60 * options.minutes / len(NAMED)
        with network() as net, TemporaryDirectory() as folder:
            found, group = play(kind, net, Path(folder), seconds, options.seed)
        acts = ", ".join(f"{count} {act.replace('_', ' of a ')}" for act, count in sorted(group.acts.items()))
        broken += found.broken
        lines = [f"{promise} | {count:,} times" for promise, count in found.tried.items()]
        lines.append(
            f"progress | {sum(group.acts.values())} times, whole again in {group.slowest:.0f} s at most"
        )
        for line in lines:
            row = f"| {name} | {seconds / 60:g} | {acts} | {line} |\n"
            print(row, end="", flush=True)
            table += row
    for what in broken:
        print("BROKEN", what)
    if broken:
        raise SystemExit(1)
    if options.write:
        put_down("reliability.md", "endurance", table)


if __name__ == "__main__":
    main()
