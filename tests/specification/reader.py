"""Has a specification read a recorded run, which it explains or refuses."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from tests.specification.checker import build, run


class Recorded(Protocol):
    """A recorded run."""

    @property
    def events(self) -> Sequence[Any]:
        """What was seen of it, in order."""

    def lines(self) -> Iterable[Sequence[int]]:
        """What is given of it as a whole, and then of each event, as `recorded.pml` has it."""


class Reader:
    """A specification as a reader of runs of groups of one size."""

    def __init__(self, folder: Path, defines: Mapping[str, int], model: str = "rendezvous.pml") -> None:
        self._pan = build(folder, {**defines, "REPLAY": 1}, flags=("-DSAFETY",), level="-O0", model=model)

    def explained(self, trace: Recorded) -> int:
        """How many events, from the first, some run of the specification shows, or begins to show."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "trace"
            path.write_text("".join(" ".join(map(str, line)) + "\n" for line in trace.lines()))
            verdict = run(self._pan, TRACE=str(path))
        if verdict.broken is not None:
            # Another promise is broken only where the specification itself is wrong.
            assert verdict.broken.startswith("assertion violated 0 "), verdict.text
            return len(trace.events)
        reached = re.findall(r"explained: (\d+)", verdict.text)
        return min(max(map(int, reached), default=0), len(trace.events) - 1)

    def check(self, trace: Recorded) -> None:
        """Raise `AssertionError` where the specification knows no such run."""
        explained = self.explained(trace)
        known = explained == len(trace.events)
        assert known, f"the specification knows no such event: {explained}, {trace.events[explained]}"
