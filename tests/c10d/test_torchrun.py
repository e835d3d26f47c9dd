"""Stock torchrun over every backend: agents are killed, come and fail, and the training goes on."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rendezvous_core import RendezvousParameters, get_rendezvous_handler
from rendezvous_core.records.codec import decode_member
from rendezvous_core.sqlite import SqliteBackend
from tests.c10d import backends
from tests.c10d.agents import PART, TRAIN, Agent, DidNotHappen, Job
from tests.c10d.scenarios import end, exhaust, freeze, lose_host, outlive, start, terminate, undergo

# Each wait ends by itself and tells what happened instead; on a busy machine they add up.
pytestmark = pytest.mark.timeout(900)

Create = Callable[..., Job]

SAVING = Path(__file__).with_name("saving.py")


@pytest.fixture
def create_job(tmp_path: Path) -> Iterator[Create]:
    """Create a job whose agents meet over a backend of ours; sqlite unless another is named.

    Its workers only look as if they trained unless ``train`` names others: that is quicker.
    """
    with ExitStack() as stack:

        def create(nodes: str, backend: Any = backends.sqlite, train: Path = PART, **conf: object) -> Job:
            meeting = stack.enter_context(backend(tmp_path))
            # Agents of a busy machine come far apart: the first round is of all; no later one waits for more.
            options = {"last_call_timeout": 10, **meeting.conf, **conf}
            job = Job(tmp_path, meeting.name, meeting.endpoint, nodes, **options)
            job.train = train
            stack.callback(job.close)
            return job

        yield create


THROUGH_SERVERS = [backends.redis, backends.etcd]


def name(backend: Any) -> str:
    return str(backend.__name__)


@pytest.mark.parametrize(
    "backend",
    [
        backends.c10d,
        *(pytest.param(each, marks=pytest.mark.thorough) for each in (backends.sqlite, *THROUGH_SERVERS)),
    ],
    ids=name,
)
def test_a_training_outlives_its_agents(create_job: Create, backend: Any) -> None:
    """Each change restarts each worker once; survivors keep their order; rank 0 hosts each round anew."""
    job = create_job("2:4", backend, TRAIN)
    steps = list(outlive(job))

    parts = Counter(start["address"] for step in steps for start in step.starts)
    assert Counter(line["address"] for line in job.journal if line["event"] == "start") == parts
    for former, latter in pairwise(steps):
        addresses = [start["address"] for start in latter.starts]
        stayed = [start["address"] for start in former.starts if start["address"] in addresses]
        assert addresses[: len(stayed)] == stayed, latter.what
    masters = [step.starts[0]["master"] for step in steps]
    assert len(set(masters)) == len(masters), "a former round's address was used"
    assert all(step.starts[0]["master"].startswith(step.starts[0]["address"]) for step in steps)
    trained = [step.starts[0]["step"] for step in steps]
    assert trained[0] == 0
    assert trained == sorted(set(trained)), "a checkpoint was lost"


@pytest.mark.parametrize(
    "backend",
    [backends.redis, pytest.param(backends.etcd, marks=pytest.mark.thorough)],
    ids=name,
)
def test_a_training_outlives_rank_0(create_job: Create, backend: Any) -> None:
    """The same of each server, for the change that moves the most."""
    (step,) = undergo("rank 0's agent is killed", create_job("2:4", backend))
    assert len(step.starts) == 2
    assert step.starts[0]["step"] > 0, "a checkpoint was lost"


def test_an_agent_that_is_cut_off_comes_back(create_job: Create) -> None:
    """Its silence calls the others to a new round, though no connection breaks and no worker fails."""
    job = create_job("1:2")
    alone, _ = freeze(job)
    assert {start["restart"] for start in alone.starts} == {0}


def test_a_failure_is_left_to_the_others(create_job: Create) -> None:
    """An agent that runs out of restarts leaves the run; the others go on without it."""
    list(exhaust(create_job("1:2", keep_alive_interval=60)))


def test_a_failure_closes_the_run_if_it_is_to(create_job: Create) -> None:
    """With ``close_on_failure`` it ends for all, as under torch's own handler."""
    job = create_job("1:2", train=TRAIN, close_on_failure="true")
    with pytest.raises(DidNotHappen, match=r"127\.0\.0\.2 ended with 1"):
        list(exhaust(job))
    assert "RendezvousClosedError" in errors(job.agents["127.0.0.2"])


def test_a_signal_ends_an_agent(create_job: Create) -> None:
    """An agent that is told to end tells the others, who do not have to wait for its silence."""
    job = create_job("1:2", keep_alive_interval=60)
    list(terminate(job))
    assert "SignalException" in errors(job.agents["127.0.0.3"])


def test_workers_host_their_store(create_job: Create) -> None:
    """torch's variable against shared stores is respected; so is a fixed number of nodes."""
    job = create_job("2", train=TRAIN)
    agents = [job.start(number, TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1") for number in (2, 3)]
    starts = job.wait_for_world(*agents)
    assert {start["agent_store"] for start in starts} == {"False"}
    assert starts[0]["master"].startswith(starts[0]["address"])
    end(job, agents)


def test_an_agent_that_died_waiting_holds_up_nobody(create_job: Create) -> None:
    """It is ranked, as nobody knows yet that it is dead; the round is redone."""
    job = create_job("3", keep_alive_max_attempt=12)
    dead = job.start(2)
    job.wait_for_ask(dead)
    dead.kill()
    agents = [job.start(number) for number in (3, 4)]
    for agent in agents:
        job.wait_for_ask(agent)
    agents.append(job.start(5))
    job.wait_for_world(*agents)
    end(job, agents)


def test_a_spare_ends_well(create_job: Create) -> None:
    """An agent that was never needed ends with status 0 when the run ends."""
    job = create_job("1:2")
    agents = start(job, 2)
    spare = job.start(4)
    job.wait_for_ask(spare)
    started = [line["address"] for line in job.journal if line["event"] == "start"]
    assert sorted(started) == ["127.0.0.2", "127.0.0.3"]
    end(job, agents)
    assert spare.wait() == 0
    assert "not needed" in errors(spare)
    assert spare.latest is None


def test_an_agent_that_is_to_go_ends_well_once_all_have_saved_the_same_step(create_job: Create) -> None:
    """Told from outside, as by ``rdzv drain``; the run goes on without it. The workers are the README's."""
    job = create_job("1:2")
    job.train = SAVING
    steady, goes = agents = [job.start(number) for number in (2, 3)]
    job.wait_for_world(*agents)
    with closing(SqliteBackend(job.endpoint, "job")) as backend:
        members = map(decode_member, backend.members().records.values())
        (node,) = (member.node for member in members if member.address == goes.address)
    began = time.monotonic()
    params = RendezvousParameters("sqlite", job.endpoint, "job", 1, 2)
    assert get_rendezvous_handler(params).drain(30, [node])
    job.wait_for_world(steady, since=began)
    assert goes.wait() == 0, job.report()
    saved = {line["address"]: line["step"] for line in job.journal if line["event"] == "saved"}
    assert saved.keys() == {steady.address, goes.address}, job.report()
    assert len({*saved.values()}) == 1, job.report()
    end(job, [steady])


def test_the_death_of_the_host_is_told(create_job: Create) -> None:
    """All that the TCPStore held is lost with the agent that hosts it: the others end, and say so."""
    job = create_job("1:2", backends.hosted_c10d, TRAIN)
    seconds, told = lose_host(job)
    assert seconds < 30
    assert re.search(
        r"RendezvousConnectionError: Nobody listens any more for the TCPStore at 127\.0\.0\.2:\d+: the "
        r"process that hosted it has ended.* redis or etcd-v3",
        told,
    )


def errors(agent: Agent) -> str:
    return "\n".join(agent.errors)
