"""``python -m benchmarks.large``: what a node costs in a group of thousands; see LARGE.md."""

import argparse
import os
import shlex
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.crowd import Use
from benchmarks.gathering import Gathering
from benchmarks.group import GroupError, prepare
from benchmarks.large_tables import COLUMNS, DEFAULT, Row, held_against, interval, merged
from benchmarks.limits import go_first, raise_limits
from benchmarks.meters import METERS, Reading
from benchmarks.servers import SERVERS
from benchmarks.tables import taken, write
from benchmarks.terms import Size, Terms

PAGE = Path(__file__).with_name("LARGE.md")
_OPENING = 300.0
"""Seconds that all nodes may take to connect."""
_LAST_CALL = 300.0
"""Seconds. A first round is full before that, and a later one does not wait for it."""


def measure(contender: str, endpoint: str, size: Size, options: argparse.Namespace, row: Row) -> None:
    """Take all figures of a contender into ``row``."""
    beat = interval(size.nodes, options.keep_alive_interval)
    terms = Terms(beat, 3, _LAST_CALL, options.limit, 1)
    plan = terms.plan(contender, endpoint, size.nodes - 1, size.nodes, is_counted=True)
    open_meter = METERS.get(CONTENDERS[contender].server)
    meter = open_meter and open_meter(endpoint)
    with Gathering(plan, size.processes) as gathering:
        row["connecting"] = gathering.open(_OPENING)

        def read() -> Reading:
            uses: list[Use] = gathering.have("use", limit=60)
            if meter is not None:
                return meter()
            counted = sum((use.counted for use in uses), Counter[str]())
            return Reading(counted["requests"], counted["bytes"], 0.0, 0, 0)

        at_first = read()
        began, met = gathering.meet(options.limit)
        formed = read()
        row["requests to form"] = (formed.requests - at_first.requests) / size.nodes
        row["bytes to form"] = (formed.bytes - at_first.bytes) / size.nodes
        row["forming"] = max(each.ranked for each in met) - began
        row["nodes, CPU"] = sum(each.nodes for each in met)
        row["coordinator, CPU"] = sum(each.coordinator for each in met)
        time.sleep(beat)  # the first heartbeats of a round are more
        rested = read()
        time.sleep(beat)
        ran = read()
        row["requests"] = (ran.requests - rested.requests) / size.nodes
        row["bytes"] = (ran.bytes - rested.bytes) / size.nodes
        uses: list[Use] = gathering.have("use", limit=60)
        if meter is not None:
            row["server, CPU"] = formed.processor - at_first.processor
            row["connections"], row["server, MiB"] = ran.connections, ran.memory / 2**20
        row["threads"] = sum(use.threads for use in uses) / size.nodes
        row["node, KiB"] = sum(use.memory for use in uses) / size.nodes / 1024
        survivors = gathering.meet_again(terms.window + options.limit)
        killed = gathering.kill_last()
        time.sleep(terms.window - beat)  # nobody can know yet
        calm = meter and meter()
        met = survivors()
        if meter is not None and calm is not None:
            row["server, again"] = meter().processor - calm.processor
        row["told"] = max(each.told for each in met) - killed
        row["again"] = max(each.ranked for each in met) - max(each.told for each in met)
        row["nodes, again"] = sum(each.nodes for each in met)
        row["coordinator, again"] = sum(each.coordinator for each in met)


def main(argv: list[str]) -> int:
    """Measure, print each line when it is known, and write those that are whole into the page if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument(
        "--sizes", type=Size.read, nargs="+", default=[Size(64, 8), Size(1000, 20)], metavar="NODES/PROCESSES"
    )
    parser.add_argument("--contenders", nargs="+", choices=DEFAULT, default=list(DEFAULT))
    parser.add_argument(
        "--keep-alive-interval",
        type=float,
        default=5,
        help="seconds; a second for each 300 nodes if that is more",
    )
    parser.add_argument("--limit", type=float, default=120, help="seconds that a round may take")
    parser.add_argument("--busy", action="store_true", help="say that others had a part of the machine")
    parser.add_argument(
        "--write",
        type=Path,
        nargs="?",
        const=PAGE,
        metavar="PAGE",
        help="put what was measured into the tables of the page",
    )
    options = parser.parse_args(argv)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")
    # Who ends it, as timeout(1) does, is told how far it came.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("it was ended"))
    limits = raise_limits()
    go_first()
    prepare(options.contenders)
    results: dict[tuple[Size, str], Row] = {}
    failed = 0
    for each in options.sizes:
        for contender in options.contenders:
            row: Row = {}
            try:
                with SERVERS[CONTENDERS[contender].server]() as endpoint:
                    measure(contender, endpoint, each, options, row)
                results[each, contender] = row
            except GroupError as error:
                failed = 1
                print(f"{contender}, {each} nodes: {error}", file=sys.stderr, flush=True)
            finally:
                line = ", ".join(
                    f"{name} {format(row[name], form)}"
                    for columns in COLUMNS.values()
                    for name, form in columns.items()
                    if name in row
                )
                print(f"{each!s:>8}  {contender:<10}{line}", flush=True)
    if options.write:
        command = shlex.join(["python", "-m", "benchmarks.large", *argv])
        how = (
            f"Keep-alive every {options.keep_alive_interval:g} s, in larger groups a second for each 300 "
            "nodes; dead after three times as long. This process and all that it starts had these limits: "
            f"{', '.join(limits)}."
        )
        parts = {name: merged(options.write, name, results) for name in COLUMNS}
        write(options.write, {"about": taken(how, command, busy=options.busy), **parts})
        write(options.write, {"aims": held_against(options.write, options.keep_alive_interval)})
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
