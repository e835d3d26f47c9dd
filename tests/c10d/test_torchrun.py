"""Stock torchrun over every backend: agents are killed, come and fail, and the training goes on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.c10d import backends
from tests.c10d.agents import Agent, Job

Start = Callable[..., Job]


@pytest.fixture
def start_job(tmp_path: Path) -> Iterator[Start]:
    """Create a job whose agents meet over a backend of ours; sqlite unless another is named."""
    with ExitStack() as stack:

        def start(nodes: str, backend: Any = backends.sqlite, **conf: object) -> Job:
            meeting = stack.enter_context(backend(tmp_path))
            job = Job(tmp_path, meeting.name, meeting.endpoint, nodes, **{**meeting.conf, **conf})
            stack.callback(job.close)
            return job

        yield start


def by_rank(agents: list[Agent]) -> list[Agent]:
    return sorted(agents, key=lambda agent: int((agent.latest or {})["rank"]))


@pytest.mark.parametrize(
    "backend", [backends.sqlite, backends.c10d, backends.redis, backends.etcd], ids=lambda each: each.__name__
)
def test_a_training_outlives_its_agents(start_job: Start, backend: Any) -> None:
    """One agent is killed, another comes, that of rank 0 is killed, a worker fails; then all end well."""
    job = start_job("2:4", backend)
    agents = [job.start(number) for number in (2, 3, 4)]
    first = job.wait_for_world(*agents)
    assert [start["step"] for start in first] == [0, 0, 0]

    *survivors, victim = by_rank(agents)
    victim.kill()
    second = job.wait_for_world(*survivors)
    assert [start["address"] for start in second] == [agent.address for agent in survivors]
    assert [job.starts(agent) for agent in survivors] == [2, 2]

    job.wait_for_progress()
    newcomer = job.start(5)
    third = job.wait_for_world(*survivors, newcomer)
    assert [start["address"] for start in third[:2]] == [agent.address for agent in survivors]
    assert [job.starts(agent) for agent in survivors] == [3, 3]

    job.wait_for_progress()
    victim, *survivors = by_rank([*survivors, newcomer])
    victim.kill()
    fourth = job.wait_for_world(*survivors)
    assert victim.address not in {start["master"].partition(":")[0] for start in fourth}
    assert [job.starts(agent) for agent in survivors] == [4, 2]

    failing = survivors[1]
    job.order(f"fail-{failing.address}")
    job.wait_for(lambda: [job.starts(agent) for agent in survivors] == [5, 3], "a restart")
    fifth = job.wait_for_world(*survivors)
    assert all(int(start["restart"]) > 0 for start in fifth if start["address"] == failing.address)

    job.order("stop")
    ends = job.ends(*survivors)
    assert [end["rank"] for end in ends] == [0, 1]
    assert ends[0]["weights"] == ends[1]["weights"]

    worlds = [first, second, third, fourth, fifth]
    assert len({starts[0]["master"] for starts in worlds}) == len(worlds), "a former round's address was used"
    assert all(starts[0]["master"].startswith(starts[0]["address"]) for starts in worlds)
    steps = [starts[0]["step"] for starts in worlds]
    assert steps == sorted(steps)
    assert steps[-1] > 0


def test_workers_host_their_store(start_job: Start) -> None:
    """torch's variable against shared stores is respected; so is a fixed number of nodes."""
    job = start_job("2")
    agents = [job.start(number, TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1") for number in (2, 3)]
    starts = job.wait_for_world(*agents)
    assert {start["agent_store"] for start in starts} == {"False"}
    assert starts[0]["master"].startswith(starts[0]["address"])
    job.order("stop")
    job.ends(*agents)


def test_an_agent_that_died_waiting_holds_up_nobody(start_job: Start) -> None:
    """It is ranked, as nobody knows yet that it is dead; the round is redone."""
    job = start_job("3", keep_alive_max_attempt=12)
    dead = job.start(2)
    job.wait_for_ask(dead)
    dead.kill()
    agents = [job.start(number) for number in (3, 4)]
    for agent in agents:
        job.wait_for_ask(agent)
    agents.append(job.start(5))
    job.wait_for_world(*agents)
    job.order("stop")
    job.ends(*agents)


def test_a_failure_is_left_to_the_others(start_job: Start) -> None:
    """An agent that runs out of restarts leaves the run; the others go on without it."""
    job = start_job("1:2", keep_alive_interval=60)
    steady, failing = job.start(2), job.start(3, "--max-restarts=0")
    job.wait_for_world(steady, failing)
    job.order(f"fail-{failing.address}")
    job.wait_for_world(steady)
    assert failing.wait() == 1
    job.order("stop")
    job.ends(steady)


def test_a_failure_closes_the_run_if_it_is_to(start_job: Start) -> None:
    """With ``close_on_failure`` it ends for all, as under torch's own handler."""
    job = start_job("1:2", close_on_failure="true")
    steady, failing = job.start(2), job.start(3, "--max-restarts=0")
    job.wait_for_world(steady, failing)
    job.order(f"fail-{failing.address}")
    assert failing.wait() == 1
    assert steady.wait() == 1
    assert "RendezvousClosedError" in "\n".join(steady.errors)


def test_a_signal_ends_an_agent(start_job: Start) -> None:
    """An agent that is told to end tells the others, who do not have to wait for its silence."""
    job = start_job("1:2", keep_alive_interval=60)
    steady, ended = job.start(2), job.start(3)
    job.wait_for_world(steady, ended)
    ended.process.terminate()
    job.wait_for_world(steady)
    assert ended.wait() != 0
    assert "SignalException" in "\n".join(ended.errors)
    job.order("stop")
    job.ends(steady)


def test_a_spare_ends_well(start_job: Start) -> None:
    """An agent that was never needed ends with status 0 when the run ends."""
    job = start_job("1:2")
    agents = [job.start(number) for number in (2, 3)]
    job.wait_for_world(*agents)
    spare = job.start(4)
    job.wait_for_ask(spare)
    assert [job.starts(agent) for agent in agents] == [1, 1]
    job.order("stop")
    job.ends(*agents)
    assert spare.wait() == 0
    assert "not needed" in "\n".join(spare.errors)
    assert job.starts(spare) == 0
