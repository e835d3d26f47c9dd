"""A member of the cluster is killed or paused in each phase of a run, and brought back."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.testing.suites.handler import assert_round
from rendezvous_core.testing.suites.threads import is_blocked, start, together
from rendezvous_etcd import EtcdServer
from tests.etcd.servers import Cluster, kill, pause, resume
from tests.etcd.waiting import PATIENCE, never, until

ROLES = pytest.mark.parametrize("role", ["leader", "follower"])
FAULTS = pytest.mark.parametrize("fault", ["killed", "paused"])
Create = Callable[..., RendezvousHandler]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def create(cluster: Cluster) -> Iterator[Create]:
    handlers: list[RendezvousHandler] = []
    run_id = uuid.uuid4().hex

    def create(
        min_nodes: int, max_nodes: int, member: EtcdServer | None = None, **options: Any
    ) -> RendezvousHandler:
        """A node that begins with ``member``."""
        others = [each for each in cluster.members if each is not member]
        first = [member] if member else []
        endpoint = ",".join(each.get_endpoint() for each in (*first, *others))
        options = {"keep_alive_interval": 1, "keep_alive_max_attempt": 10, "read_timeout": 4, **options}
        handlers.append(
            get_rendezvous_handler(
                RendezvousParameters(
                    "etcd-v3",
                    endpoint,
                    run_id,
                    min_nodes,
                    max_nodes,
                    "localhost",
                    join_timeout=PATIENCE,
                    **options,
                )
            )
        )
        return handlers[-1]

    yield create
    together([handler.shutdown for handler in handlers], PATIENCE)


@contextmanager
def away(member: EtcdServer, fault: str) -> Iterator[None]:
    """Have a member killed or paused meanwhile."""
    if fault == "killed":
        kill(member)
    else:
        pause(member)
    try:
        yield
    finally:
        if fault == "killed":
            member.start(stderr=subprocess.DEVNULL)
        else:
            resume(member)


def is_called(node: RendezvousHandler) -> bool:
    return node.num_nodes_waiting() > 0


def meet(*nodes: RendezvousHandler) -> None:
    assert_round(together([node.next_rendezvous for node in nodes], PATIENCE))


@ROLES
@FAULTS
def test_before_the_first_ask(cluster: Cluster, create: Create, role: str, fault: str) -> None:
    member = cluster.find(role)
    nodes = [create(3, 3, member) for _ in range(3)]
    with away(member, fault):
        meet(*nodes)
    meet(*nodes)


@ROLES
@FAULTS
def test_while_some_wait_for_others(cluster: Cluster, create: Create, role: str, fault: str) -> None:
    member = cluster.find(role)
    nodes = [create(3, 3, member) for _ in range(3)]
    early = [start(node.next_rendezvous) for node in nodes[:2]]
    assert is_blocked(early[0], 0.5)
    with away(member, fault):
        late = nodes[2].next_rendezvous()
        assert_round([late, *(each.result(PATIENCE) for each in early)])


@ROLES
@FAULTS
def test_during_the_last_call(cluster: Cluster, create: Create, role: str, fault: str) -> None:
    member = cluster.find(role)
    nodes = [create(2, 3, member, last_call_timeout=3) for _ in range(2)]
    asking = [start(node.next_rendezvous) for node in nodes]
    assert is_blocked(asking[0], 0.5)
    with away(member, fault):
        assert_round([each.result(PATIENCE) for each in asking])


@ROLES
@FAULTS
def test_while_a_round_works(cluster: Cluster, create: Create, role: str, fault: str) -> None:
    """Nobody is called to a new round by that; a newcomer is told to all; the store serves."""
    member = cluster.find(role)
    nodes = [create(2, 3, member, last_call_timeout=0.5) for _ in range(2)]
    infos = together([node.next_rendezvous for node in nodes], PATIENCE)
    reading = start(infos[0].store.get, "key")
    assert is_blocked(reading, 0.2)
    with away(member, fault):
        infos[1].store.set("key", b"value")
        assert reading.result(PATIENCE) == b"value"
        assert [infos[number].store.add("count", 1) for number in (0, 1, 0)] == [1, 2, 3]
        assert [node.num_nodes_waiting() for node in nodes] == [0, 0]
        newcomer = start(create(2, 3).next_rendezvous)
        for node in nodes:
            until(partial(is_called, node))
        assert_round(
            [*together([node.next_rendezvous for node in nodes], PATIENCE), newcomer.result(PATIENCE)]
        )


@FAULTS
def test_one_member_after_the_other(cluster: Cluster, create: Create, fault: str) -> None:
    nodes = [create(3, 3) for _ in range(3)]
    for member in cluster.members:
        with away(member, fault):
            meet(*nodes)
        meet(*nodes)


def test_without_most_members_and_back(cluster: Cluster, create: Create) -> None:
    """Two of three are paused for longer than it takes to be dead: nobody is taken for dead by that."""
    nodes = [
        create(2, 2, keep_alive_interval=0.5, keep_alive_max_attempt=4, read_timeout=1) for _ in range(2)
    ]
    meet(*nodes)
    for member in cluster.members[:2]:
        pause(member)
    never(lambda: any(map(is_called, nodes)), 4.0)
    for member in cluster.members[:2]:
        resume(member)
    meet(*nodes)
