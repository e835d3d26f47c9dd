"""``python -m tests.enumeration``: what is tried in the gate; ``--write`` puts the counts into the docs.

``--seconds 3600`` goes on to larger bounds for so long.
"""

import argparse
import time
from collections.abc import Iterator

from tests.enumeration.bounds import BEYOND, GATE
from tests.enumeration.scenes import DEATHS, LOSSES, MESSAGES, Bounds
from tests.enumeration.search import Counts, search
from tests.enumeration.stepping import UNIT
from tests.support.pages import put_down

HEAD = """\
| nodes | faults | of which kinds | until | every order until | scenes | steps |
|---|---|---|---|---|---|---|
"""
NAMED = {DEATHS: "deaths", MESSAGES: "messages", LOSSES: "losses", frozenset[str](): "none"}


def row(bounds: Bounds, counts: Counts) -> str:
    """One line of the table; times are in seconds, where a period is one."""
    kinds = NAMED.get(bounds.kinds) or ", ".join(sorted(bounds.kinds))
    times = f"{bounds.until * UNIT:g} s | {bounds.end * UNIT:g} s"
    tried = f"{counts.scenes:,} | {counts.steps:,}{'' if counts.whole else ', not all'}"
    return f"| {bounds.nodes} | {bounds.faults} | {kinds} | {times} | {tried} |\n"


def rows(seconds: float = 0.0) -> Iterator[str]:
    """Enumerate the bounds of the gate, and larger ones for so many seconds. Raises `Violation`."""
    deadline = time.monotonic() + seconds
    for bounds in GATE:
        yield row(bounds, search(bounds))
    for bounds in BEYOND:
        if time.monotonic() < deadline:
            yield row(bounds, search(bounds, deadline))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.enumeration", description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.0)
    options = parser.parse_args()
    table = HEAD
    for line in rows(options.seconds):
        print(line, end="", flush=True)
        table += line
    if options.write:
        put_down("protocol.md", "enumeration", table)


if __name__ == "__main__":
    main()
