"""Runs SPIN on the specification: as it is, with a rule left out, or along a recorded run."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.support.missing import missing

SPEC = Path(__file__).parents[2] / "spec"


class Bounds(NamedTuple):
    """What is tried."""

    nodes: int
    faults: int
    least: int = 2
    most: int = 0
    asks: int = 2

    @property
    def defines(self) -> dict[str, int]:
        most = self.most or self.nodes
        return {"NODES": self.nodes, "MIN": self.least, "MAX": most, "FAULTS": self.faults, "ASKS": self.asks}


class LedgerBounds(NamedTuple):
    """What is tried of the ledger."""

    nodes: int
    faults: int
    changes: int = 1
    pages: int = 2
    heirs: int = 1

    @property
    def defines(self) -> dict[str, int]:
        return {name.upper(): value for name, value in self._asdict().items()}


class Verdict(NamedTuple):
    """What the checker says."""

    broken: str | None
    """The first assertion that does not hold."""
    states: int
    text: str


def need_spin() -> None:
    """Skip the test where there is no checker, and nothing to build it with; on CI it fails."""
    if not shutil.which("spin") or not shutil.which("gcc"):
        missing("spin and gcc are not installed")


def build(
    folder: Path,
    defines: dict[str, int],
    changes: Iterable[tuple[str, str]] = (),
    flags: Iterable[str] = ("-DSAFETY", "-DNOREDUCE"),
    level: str = "-O1",
    model: str = "rendezvous.pml",
) -> Path:
    """Make the verifier of a specification in which some words stand for others."""
    for source in SPEC.glob("*.[ph]*"):
        text = source.read_text()
        for old, new in changes:
            text = text.replace(old, new)
        (folder / source.name).write_text(text)
    given = [f"-D{name}={value}" for name, value in defines.items()]
    _run(folder, "spin", "-a", *given, model)
    nodes = f"-DNODES={defines['NODES']}"
    _run(folder, "gcc", level, "-w", nodes, *flags, "-DCOLLAPSE", "-o", "pan", "pan.c")
    return folder / "pan"


def check(
    bounds: Bounds | LedgerBounds, changes: Iterable[tuple[str, str]] = (), level: str = "-O1"
) -> Verdict:
    """Try everything within ``bounds``, or all until something is wrong."""
    model = "ledger.pml" if isinstance(bounds, LedgerBounds) else "rendezvous.pml"
    with TemporaryDirectory() as folder:
        return run(build(Path(folder), bounds.defines, changes, level=level, model=model))


def check_progress(bounds: Bounds) -> Verdict:
    """Try whether all settle for good wherever nobody who can do something is put off for ever."""
    with TemporaryDirectory() as folder:
        flags = ("-DNOREDUCE", "-DNFAIR=3")
        pan = build(Path(folder), bounds.defines | {"PROGRESS": 1}, flags=flags, level="-O0")
        return run(pan, "-a", "-f")


def run(pan: Path, *options: str, **environment: str) -> Verdict:
    """Run a verifier."""
    text = _run(pan.parent, "./pan", "-E", "-m1000000", "-w20", *options, **environment)
    broken = re.search(r"pan:\d+: (assertion violated .*|acceptance cycle.*)", text)
    states = re.search(r"(\d+) states, stored", text)
    assert states is not None, text
    assert "max search depth too small" not in text, text
    return Verdict(broken and broken[1], int(states[1]), text)


def _run(folder: Path, *command: str, **environment: str) -> str:
    ended = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


GATE = (
    Bounds(nodes=2, faults=2),
    Bounds(nodes=3, faults=1, most=2),
)
"""What is tried for every change: seconds."""

BEYOND = (
    Bounds(nodes=2, faults=1, least=1),
    Bounds(nodes=3, faults=1),
    Bounds(nodes=2, faults=3),
)
"""What takes a minute, and a gigabyte."""

LEDGER_GATE = (LedgerBounds(nodes=2, faults=2),)
LEDGER_BEYOND = (LedgerBounds(nodes=2, faults=2, heirs=0), LedgerBounds(nodes=3, faults=1))
"""The same for the ledger."""
