"""``python -m tests.specification``: what the gate tries, or ``--all``; ``--write`` puts it into the docs."""

import argparse

from tests.specification.checker import BEYOND, GATE, LEDGER_BEYOND, LEDGER_GATE, Bounds, LedgerBounds, check
from tests.support.pages import put_down

HEAD = "| nodes | min | max | asks of each | faults | scenes |\n|---|---|---|---|---|---|\n"
LEDGER_HEAD = "| nodes | heirs | pages | changes | faults | scenes |\n|---|---|---|---|---|---|\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.specification", description=__doc__)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    table = HEAD
    for bounds in GATE + (BEYOND if options.all else ()):
        nodes, faults, least, most, asks = bounds
        table += tried(f"{nodes} | {least} | {most or nodes} | {asks} | {faults}", bounds)
    ledger = LEDGER_HEAD
    for each in LEDGER_GATE + (LEDGER_BEYOND if options.all else ()):
        ledger += tried(f"{each.nodes} | {each.heirs} | {each.pages} | {each.changes} | {each.faults}", each)
    if options.write:
        put_down("reliability.md", "specification", table)
        put_down("reliability.md", "ledger", ledger)


def tried(text: str, bounds: Bounds | LedgerBounds) -> str:
    """Try all within ``bounds``; return, and print, a row that begins with ``text``."""
    verdict = check(bounds)
    assert verdict.broken is None, verdict.text
    row = f"| {text} | {verdict.states:,} |\n"
    print(row, end="", flush=True)
    return row


if __name__ == "__main__":
    main()
