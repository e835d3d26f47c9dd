"""The command; see the page beside it."""

import argparse
import os
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.group import GroupError, prepare
from benchmarks.measures import MEASURES
from benchmarks.servers import SERVERS
from benchmarks.tables import COLUMNS, Results, row, table, taken, write
from benchmarks.terms import Figures, Size, Terms

PAGE = Path(__file__).with_name("README.md")


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="How long groups take to form and to react, and what they cost; torch in the same run.",
    )
    parser.add_argument(
        "--sizes",
        type=Size.read,
        nargs="+",
        default=[Size.read(each) for each in ("3", "16", "64", "256/16")],
        metavar="NODES[/PROCESSES]",
        help="a process per node where not said otherwise (default: 3 16 64 256/16)",
    )
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument(
        "--repeat", type=int, default=3, help="groups per figure of forming: the median counts"
    )
    parser.add_argument("--limit", type=float, default=20, help="seconds for one measurement")
    parser.add_argument(
        "--keep-alive-interval",
        type=float,
        default=1,
        help="seconds; torch's nodes beat once a second while they wait",
    )
    parser.add_argument("--keep-alive-max-attempt", type=int, default=3)
    parser.add_argument("--last-call", type=float, default=0.5, help="seconds")
    parser.add_argument(
        "--endpoint",
        action="append",
        default=[],
        metavar="SERVER=HOST:PORT",
        help=f"use this server instead of starting one ({', '.join(SERVERS)})",
    )
    parser.add_argument("--busy", action="store_true", help="say that others had a part of the machine")
    parser.add_argument(
        "--write", type=Path, nargs="?", const=PAGE, metavar="PAGE", help="put the tables into the page"
    )
    return parser.parse_args(argv)


def about(options: argparse.Namespace, argv: list[str], terms: Terms) -> str:
    """Say where, when and how the figures were taken."""
    how = (
        f"Keep-alive every {terms.keep_alive_interval:g} s, dead after {terms.window:g} s, last call "
        f"{terms.last_call:g} s."
    )
    return taken(how, shlex.join(["python", "-m", "benchmarks", *argv]), busy=options.busy)


def measure(contender: str, endpoint: str, size: Size, terms: Terms, measures: list[str]) -> Figures:
    """Take all figures of a contender, or those until it did not end in time."""
    figures: Figures = {}
    for name in measures:
        try:
            figures |= MEASURES[name](contender, endpoint, size, terms)
        except GroupError as error:
            print(f"{contender}, {size} nodes, {name}: {error}", file=sys.stderr, flush=True)
        if any(figure.is_over for figure in figures.values()) and name == "forming":
            break  # neither can the rest be waited for
    return figures


def main(argv: list[str]) -> int:
    """Measure, print each line when it is known, and write the page if asked to."""
    options = arguments(argv)
    # What is there before torch's C++ code and the resolver look.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")
    # By default a round of torch that a newcomer joins waits for an address that rank 0 does not publish.
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    prepare(options.contenders)
    terms = Terms(
        options.keep_alive_interval,
        options.keep_alive_max_attempt,
        options.last_call,
        options.limit,
        options.repeat,
    )
    endpoints = dict(each.split("=", 1) for each in options.endpoint)
    results: Results = {}
    with ExitStack() as stack:
        for each in options.sizes:
            for contender in options.contenders:
                server = CONTENDERS[contender].server
                if server not in endpoints:
                    endpoints[server] = stack.enter_context(SERVERS[server]())
                found = measure(contender, endpoints[server], each, terms, options.measures)
                results[each, contender] = found
                for name, columns in COLUMNS.items():
                    known = [column for column in columns if column in found]
                    cells = row(each, contender, results, known, is_time=name == "times")[2:]
                    line = ", ".join(f"{column} {cell}" for column, cell in zip(known, cells, strict=True))
                    if line:
                        print(f"{each!s:>8}  {contender:<14}{line}", flush=True)
    parts = {name: table(results, name) for name in COLUMNS}
    if options.write:
        write(options.write, {"about": about(options, argv, terms), **parts})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
