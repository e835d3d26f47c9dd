"""Try frameworks for real, and write what came of it into the page of their results.

    python -m frameworks jax xgboost --write

Needs what is tried to be installed; `nox -s frameworks` sees to that. Results of other frameworks stay.
"""

import argparse
import re
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.tables import write
from frameworks.cases import CASES, Case
from frameworks.trial import DidNotWork, try_out

PAGE = Path(__file__).parents[1] / "docs" / "frameworks.md"
MARKER = "results"
HEAD = [
    "| framework | version | as in | two nodes work after | one is killed: the other works after |",
    "|---|---|---|---|---|",
]


def row(case: Case, patience: float) -> tuple[str, bool]:
    """Try one case; return its line of the table, and whether it worked."""
    with tempfile.TemporaryDirectory() as folder, case.meeting(Path(folder)) as met:
        try:
            times = try_out(case.trial(met), Path(folder), patience)
        except DidNotWork as error:
            print(error, flush=True)
            return _line(case, "failed", str(error).partition("\n")[0]), False
    return _line(case, *(f"{seconds:.1f} s" for seconds in times)), True


def _line(case: Case, *cells: str) -> str:
    installed = version(case.framework.partition("[")[0])
    return "| " + " | ".join([case.framework, installed, f"`{case.shown}`", *cells]) + " |"


def merged(former: str, lines: list[str]) -> str:
    """Return the table with ``lines`` in it, in the place of those of the same framework and way."""
    known = {_key(line): line for line in former.splitlines() if line.startswith("| ")}
    known |= {_key(line): line for line in lines}
    order = [(case.framework, f"`{case.shown}`") for case in CASES]
    return "\n".join([*HEAD, *(known[key] for key in order if key in known)])


def _key(line: str) -> tuple[str, str]:
    cells = [cell.strip() for cell in line.split("|")]
    return cells[1], cells[3]


def main() -> int:
    """Try what is asked for; return whether anything failed."""
    parser = argparse.ArgumentParser(prog="python -m frameworks", description=__doc__)
    names = sorted({case.framework for case in CASES})
    parser.add_argument("frameworks", nargs="*", metavar="FRAMEWORK", help=", ".join(names))
    parser.add_argument("--write", action="store_true", help="write the results into docs/frameworks.md")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for each thing to happen")
    given = parser.parse_args()
    if unknown := sorted({*given.frameworks} - {*names}):
        parser.error(f"nothing is known of {', '.join(unknown)}; there are {', '.join(names)}")
    failed = False
    for case in CASES:
        if given.frameworks and case.framework not in given.frameworks:
            continue
        line, worked = row(case, given.patience)
        failed |= not worked
        print(line, flush=True)
        if given.write:
            text = PAGE.read_text()
            former = re.search(f"<!-- {MARKER} -->\n(.*?)<!-- /{MARKER} -->", text, re.DOTALL)
            write(PAGE, {MARKER: merged(former[1] if former else "", [line])})
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
