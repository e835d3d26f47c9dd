"""What stock torchrun survives, and how fast, over each backend of ours and over torch's own c10d backend.

Agents run as processes with addresses of their own in 127.0.0.0/8; their workers train a small DDP model
with gloo and checkpoints. Each figure is of a job of its own: the seconds from what happens until the
last worker of the new world trains again. Needs torch, the servers of the extras ``[server]`` of
rendezvous-redis and rendezvous-etcd, and three quiet minutes per contender.

    python -m benchmarks.torchrun --results torchrun.json redis torch

Results are added to those in the file; the table shows all of them.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from benchmarks.tables import write
from tests.c10d import backends
from tests.c10d.agents import DidNotHappen, Job, until
from tests.c10d.backends import Backend
from tests.c10d.scenarios import (
    CHANGES,
    Step,
    end,
    exhaust,
    freeze,
    lose_host,
    run,
    start,
    terminate,
    undergo,
)

Meeting = Callable[[Path], AbstractContextManager[Backend]]
Scenario = Callable[[Job], Iterator[Step]]

PATIENCE = 30.0
PAGE = Path(__file__).parents[1] / "rendezvous-c10d" / "README.md"

CONTENDERS: dict[str, Meeting] = {
    "c10d": backends.c10d,
    "redis": backends.redis,
    "etcd-v3": backends.etcd,
    "sqlite": backends.sqlite,
    "torch": backends.torch_c10d,
}
HOSTED: dict[str, Meeting] = {"c10d": backends.hosted_c10d, "torch": backends.hosted_torch_c10d}


def stand_by(job: Job) -> Iterator[Step]:
    """A third agent comes where two are enough, and the run ends. For ``1:2`` nodes."""
    agents = start(job, 2)
    spare = job.start(4)
    until(lambda: "Rendezvous'ing" in "\n".join(spare.errors), "a spare")
    time.sleep(3)  # nobody tells when it waits
    began = time.monotonic()
    end(job, agents)
    what = "a spare ends with status 0"
    if status := spare.wait(job.patience):
        raise DidNotHappen(what, f"ended with {status}: {spare.errors[-1]}")
    yield Step(what, time.monotonic() - began, [])


def die_hosting(job: Job) -> Iterator[Step]:
    seconds, errors = lose_host(job)
    last = [line for line in errors.splitlines() if "Error" in line][-1]
    print(f"    {last}", flush=True)
    yield Step("the TCPStore's host is killed: the other ends", seconds, [])


def scenarios(contender: str) -> Iterator[tuple[Meeting, str, Scenario]]:
    """All that happens to a contender: where its agents meet, how many they may be, and what it is."""
    meeting = CONTENDERS[contender]
    yield meeting, "2:4", run
    for what in CHANGES:
        yield meeting, "2:4", partial(undergo, what)
    for scenario in (freeze, exhaust, terminate, stand_by):
        yield meeting, "1:2", scenario
    if contender in HOSTED:
        yield HOSTED[contender], "2", die_hosting


def measure(contender: str) -> dict[str, str]:
    """Return what a contender makes of everything: seconds, or why it does not."""
    cells: dict[str, str] = {}
    for meeting, nodes, scenario in scenarios(contender):
        with tempfile.TemporaryDirectory() as folder, meeting(Path(folder)) as met:
            job = Job(Path(folder), met.name, met.endpoint, nodes, **met.conf)
            job.patience = PATIENCE
            try:
                for step in scenario(job):
                    cells[step.what] = f"{step.seconds:.1f} s"
                    print(f"{contender}: {step.what}: {cells[step.what]}", flush=True)
            except DidNotHappen as error:
                cells[error.what] = error.why
                print(f"{contender}: {error.what}: {error.why}", flush=True)
            finally:
                job.close()
    return cells


def table(results: dict[str, dict[str, str]]) -> Iterator[str]:
    """Yield the lines of a table of all results."""
    contenders = [name for name in CONTENDERS if name in results]
    rows = dict.fromkeys(what for name in contenders for what in results[name])
    yield f"| what happens | {' | '.join(contenders)} |"
    yield f"|---|{'---|' * len(contenders)}"
    for what in rows:
        yield f"| {what} | {' | '.join(results[name].get(what, '') for name in contenders)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("contenders", nargs="*", default=list(CONTENDERS), help=", ".join(CONTENDERS))
    parser.add_argument("--results", type=Path, default=Path("torchrun.json"))
    parser.add_argument(
        "--write", action="store_true", help=f"put the table into {PAGE.parent.name}/{PAGE.name}"
    )
    options = parser.parse_args()
    # What is there before torch's C++ code and the resolver look.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    for contender in options.contenders:
        results[contender] = measure(contender)
        options.results.write_text(json.dumps(results, indent=1))
    lines = "\n".join(table(results))
    print(lines)
    if options.write:
        write(PAGE, {"torchrun": lines})


if __name__ == "__main__":
    main()
