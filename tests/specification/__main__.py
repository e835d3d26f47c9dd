"""``python -m tests.specification``: what the gate tries, or ``--all``; ``--write`` puts it into the docs."""

import argparse

from tests.specification.checker import BEYOND, GATE, check
from tests.support.pages import put_down

HEAD = "| nodes | min | max | asks of each | faults | scenes |\n|---|---|---|---|---|---|\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.specification", description=__doc__)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    table = HEAD
    for bounds in (*GATE, *(BEYOND if options.all else ())):
        verdict = check(bounds)
        assert verdict.broken is None, verdict.text
        nodes, faults, least, most, asks = bounds
        row = f"| {nodes} | {least} | {most or nodes} | {asks} | {faults} | {verdict.states:,} |\n"
        print(row, end="", flush=True)
        table += row
    if options.write:
        put_down("reliability.md", "specification", table)


if __name__ == "__main__":
    main()
