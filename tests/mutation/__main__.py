"""``python -m tests.mutation``: how many mutants of the protocol, or of what drives it, quick tests notice.

mutmut changes one expression at a time in a copy of core; the tests that reach it are run, the quickest
first, until one fails. ``--sample N`` draws so many of all mutants; ``--write`` puts the score into the docs.
Who survives is shown, and is to be killed by a test, deleted with its code, or entered in ``equivalent``.
What was noticed once, or is excused there, is not tried again until its function changes, so that a run
which was ended goes on.
"""

import argparse
import ast
import difflib
import functools
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.mutation.rooms import ROOMS, Room
from tests.support.pages import put_down

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent")
"""For each room entries of a function, its lines without and with the change, and the reason; parted by
empty lines."""

# mutmut makes the mutants, for which it wants some test; `trial` tries them.
CONFIGURATION = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = {files}
also_copy = ["tests", "docs"]
pytest_add_cli_args_test_selection = ["tests/simulation/test_records.py"]
track_dependencies = false

[tool.pytest.ini_options]
pythonpath = ["."]
addopts = ["--import-mode=importlib", "-p", "no:cacheprovider"]
markers = ["thorough: repeats"]
"""

ENDED = "ended.jsonl"
"""Where it is written how mutants ended, as they do."""

SURVIVES = (0, 33)
"""All tests passed, or none reaches it."""


def lay_out(folder: Path, room: Room) -> None:
    """Put a copy of what is mutated where the tool expects it."""
    for source, target in (("rendezvous-core/src", "src"), ("tests", "tests"), ("docs", "docs")):
        shutil.rmtree(folder / target, ignore_errors=True)
        shutil.copytree(ROOT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
    files = json.dumps([f"src/rendezvous_core/{each}/*.py" for each in room.folders])
    (folder / "pyproject.toml").write_text(CONFIGURATION.format(files=files))
    # Python remembers that a path was not there when it started.
    (folder / "mutants" / "src").mkdir(parents=True, exist_ok=True)


def make(folder: Path, room: Room) -> None:
    """Have the tool make all mutants. What did not change keeps how it ended before."""
    keep(folder)
    lay_out(folder, room)
    for path in records(folder):
        if not (folder / "src" / path.relative_to(folder / "mutants" / "src").with_suffix("")).exists():
            path.unlink()  # of a file that is gone
    # One that there is not has all others made, and none tried.
    run(folder, folder, "mutmut", "run", "none")


def try_out(folder: Path, room: Room, names: list[str], jobs: int) -> None:
    """Run the tests on each of these mutants."""
    (folder / "to_try.json").write_text(json.dumps(names))
    files = (f"--mutants={folder / 'to_try.json'}", f"--ended={folder / ENDED}")
    # Another traceback takes a second: it parses what has all the mutants of a file in it.
    options = ("-q", "--tb=native", "-p", "tests.mutation.trial", f"--jobs={jobs}", *files)
    run(folder, folder / "mutants", "pytest", *options, *room.tests)
    keep(folder)


def run(folder: Path, where: Path, module: str, *arguments: str) -> None:
    """Run a tool on the copy, whatever is installed."""
    environment = os.environ | {"PYTHONPATH": str(folder / "mutants" / "src")}
    command = [sys.executable, "-m", module, *arguments]
    with (folder / f"{module}.log").open("w") as log:
        subprocess.run(command, cwd=where, env=environment, check=False, stdout=log, stderr=log)


def records(folder: Path) -> dict[Path, dict[str, Any]]:
    """What the tool keeps of the mutants of each file."""
    found = folder.glob("mutants/src/rendezvous_core/*/*.meta")
    return {path: json.loads(path.read_text()) for path in found}


def keep(folder: Path) -> None:
    """Put down with the mutants how they ended, also those of a run that was ended."""
    path = folder / ENDED
    if not path.exists():
        return
    ended = dict(json.loads(line)[:2] for line in path.read_text().splitlines())
    for meta, record in records(folder).items():
        codes = record["exit_code_by_key"]
        record["exit_code_by_key"] = {name: ended.get(name, code) for name, code in codes.items()}
        meta.write_text(json.dumps(record))
    path.unlink()


def results(folder: Path) -> dict[str, int | None]:
    """How the tests ended with each mutant; ``None`` for one that was not tried."""
    return {
        name: code for record in records(folder).values() for name, code in record["exit_code_by_key"].items()
    }


@functools.cache
def functions(path: Path) -> dict[str, list[str]]:
    """The lines of each function in a file, below its name."""
    text = path.read_text()
    lines = text.splitlines()
    return {
        each.name: [line.strip() for line in lines[each.lineno : each.end_lineno]]
        for each in ast.walk(ast.parse(text))
        if isinstance(each, ast.FunctionDef)
    }


def change(folder: Path, name: str) -> str:
    """Say what a mutant changes: the function, the lines without, the lines with it."""
    module, _, function = name.rpartition(".")
    there = functions(folder / "mutants" / "src" / (module.replace(".", "/") + ".py"))
    original = function.rpartition("__mutmut_")[0]
    before, after = there[original + "__mutmut_orig"], there[function]
    changed = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    readable = re.sub("^x(ǁ(.*)ǁ|_)", lambda found: f"{found[2]}." if found[2] else "", original)
    file = module.rpartition(".")[2]
    return "\n".join([f"{file}.{readable}", *(line for line in changed if not line.startswith("@@"))])


def equivalent(path: Path) -> dict[str, str]:
    """The changes that make no difference which anybody could notice, with the reasons."""
    entries = [entry.splitlines() for entry in path.read_text().strip().split("\n\n") if entry]
    return {"\n".join(entry[:-1]): entry[-1] for entry in entries}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--of", choices=ROOMS, default="protocol")
    parser.add_argument(
        "--folder", type=Path, help="where all is kept meanwhile; .mutation/ROOM if not given"
    )
    parser.add_argument("--sample", type=int, help="so many, drawn at random; without it all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    room, known = ROOMS[options.of], EQUIVALENT / f"{options.of}.txt"
    folder, excused = options.folder or ROOT / ".mutation" / options.of, equivalent(known)
    folder.mkdir(parents=True, exist_ok=True)
    make(folder, room)
    ended = results(folder)
    # A name is drawn again where others have come or gone.
    names = sorted(ended, key=lambda name: random.Random(f"{options.seed} {name}").random())
    for gone in excused.keys() - {change(folder, name) for name in names}:
        print(f"There is no such change any more; take it out of {known}:\n{gone}\n")
    chosen = names[: options.sample]
    to_try = [
        name
        for name in chosen
        if ended[name] is None or (ended[name] in SURVIVES and change(folder, name) not in excused)
    ]
    if to_try:
        try_out(folder, room, to_try, options.jobs)
        ended = results(folder)
    if not chosen or any(ended[name] is None for name in chosen):
        raise SystemExit(f"Not all were tried; {folder / 'mutmut.log'} or {folder / 'pytest.log'} says why.")
    survivors = [(change(folder, name), name) for name in chosen if ended[name] in SURVIVES]
    for text, name in survivors:
        print(f"{name}: {excused.get(text, 'survives')}\n{text}\n")
    same = sum(text in excused for text, _ in survivors)
    drawn = (
        f"{len(chosen):,} drawn at random from the {len(names):,}"
        if options.sample
        else f"all {len(names):,}"
    )
    folders = " and ".join(f"`{each}/`" for each in room.folders)
    noticed = f"{len(chosen) - len(survivors):,} are noticed and {same} make no difference"
    score = f"Of {drawn} mutants of {folders}, {noticed}; {len(survivors) - same} are not noticed.\n"
    print(score)
    if options.write:
        put_down("reliability.md", room.mark, score)


if __name__ == "__main__":
    main()
