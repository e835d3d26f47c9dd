"""What happens to jobs, step by step, and how long it takes until all train again."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.c10d.agents import Agent, DidNotHappen, Job, until


class Step(NamedTuple):
    """What happened, the seconds from then until the last worker of the new world began to train."""

    what: str
    seconds: float
    starts: list[dict[str, Any]]
    """What the workers told at their start, by rank."""


Change = Callable[[Job, list[Agent]], list[Agent]]
"""Does something to a job whose agents train; returns the agents that are to train then."""


def outlive(job: Job) -> Iterator[Step]:
    """Agents are killed, come and fail, and the training goes on; then all end well. For ``2:4`` nodes."""
    began = time.monotonic()
    agents = [job.start(number) for number in (2, 3, 4)]
    yield _step("3 agents start", job, agents, began)
    for what, change in CHANGES.items():
        job.wait_for_progress()
        began = time.monotonic()
        agents = change(job, agents)
        yield _step(what, job, agents, began)
    end(job, agents)


def run(job: Job) -> Iterator[Step]:
    """Three agents come and train, and end. For ``2:4`` nodes."""
    began = time.monotonic()
    agents = [job.start(number) for number in (2, 3, 4)]
    yield _step("3 agents start", job, agents, began)
    job.wait_for_progress()
    began = time.monotonic()
    end(job, agents)
    yield Step("all end with status 0", time.monotonic() - began, [])


def undergo(what: str, job: Job) -> Iterator[Step]:
    """One of the `CHANGES` happens to three agents. For ``2:4`` nodes."""
    agents = start(job, 3)
    began = time.monotonic()
    agents = CHANGES[what](job, agents)
    yield _step(what, job, agents, began)
    end(job, agents)


def _kill_last(job: Job, agents: list[Agent]) -> list[Agent]:
    *survivors, victim = by_rank(agents)
    victim.kill()
    return survivors


def _join(job: Job, agents: list[Agent]) -> list[Agent]:
    return [*agents, job.start(5)]


def _fail(job: Job, agents: list[Agent]) -> list[Agent]:
    job.order(f"fail-{by_rank(agents)[1]}")
    return agents


def _kill_first(job: Job, agents: list[Agent]) -> list[Agent]:
    victim, *survivors = by_rank(agents)
    victim.kill()
    return survivors


CHANGES: dict[str, Change] = {
    "an agent is killed": _kill_last,
    "another agent joins": _join,
    "a worker fails": _fail,
    "rank 0's agent is killed": _kill_first,
}


def freeze(job: Job) -> Iterator[Step]:
    """An agent is cut off, and comes back. For ``1:2`` nodes."""
    steady, frozen = agents = start(job, 2)
    began = time.monotonic()
    frozen.freeze()
    yield _step("an agent is cut off", job, [steady], began)
    began = time.monotonic()
    frozen.thaw()
    yield _step("it is back", job, agents, began)
    end(job, agents)


def exhaust(job: Job) -> Iterator[Step]:
    """A worker fails where no restart is left. For ``1:2`` nodes."""
    steady, failing = start(job, 2, "--max-restarts=0")
    began = time.monotonic()
    job.order(f"fail-{failing}")
    yield _step("an agent runs out of restarts", job, [steady], began)
    assert failing.wait() == 1, job.report()
    end(job, [steady])


def terminate(job: Job) -> Iterator[Step]:
    """An agent is told to end. For ``1:2`` nodes."""
    steady, ended = start(job, 2)
    began = time.monotonic()
    ended.process.terminate()
    yield _step("an agent gets SIGTERM", job, [steady], began)
    assert ended.wait() != 0, job.report()
    end(job, [steady])


def lose_host(job: Job) -> tuple[float, str]:
    """The agent that hosts the TCPStore is killed. For two nodes, the endpoint at the first.

    Returns the seconds until the other ends, as it must, and its errors.
    """
    host = job.start(2)
    until(lambda: _listens(job.endpoint), f"a TCPStore at {job.endpoint}")
    other = job.start(3)
    job.wait_for_world(host, other)
    job.wait_for_progress()
    began = time.monotonic()
    host.kill()
    if other.wait(job.patience) != 1:
        raise DidNotHappen(f"an error of {other}", f"it ended with {other.process.returncode}", job.report())
    return time.monotonic() - began, "\n".join(other.errors)


def start(job: Job, number: int, *extra: str) -> list[Agent]:
    """Start agents, all but the first with more arguments, and wait until they train."""
    agents = [job.start(2), *(job.start(3 + each, *extra) for each in range(number - 1))]
    job.wait_for_world(*agents)
    job.wait_for_progress()
    return agents


def end(job: Job, agents: list[Agent]) -> None:
    """Have the training end, which must be the same and well for all."""
    job.order("stop")
    ends = job.ends(*agents)
    assert [each["rank"] for each in ends] == list(range(len(agents))), job.report()
    assert len({str(each["weights"]) for each in ends}) == 1, job.report()


def by_rank(agents: list[Agent]) -> list[Agent]:
    return sorted(agents, key=lambda agent: int((agent.latest or {})["rank"]))


def _listens(endpoint: str) -> bool:
    host, _, port = endpoint.partition(":")
    try:
        socket.create_connection((host, int(port)), 5).close()
    except OSError:
        return False
    return True


def _step(what: str, job: Job, agents: list[Agent], began: float) -> Step:
    try:
        starts = job.wait_for_world(*agents, since=began)
    except DidNotHappen as error:
        raise DidNotHappen(what, error.why, error.report) from error
    return Step(what, max(start["arrived"] for start in starts) - began, starts)
