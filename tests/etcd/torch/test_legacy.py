"""Nodes of torch's legacy handler and of ours in one group.

A new round after a complete one begins when a rank of that has expired, ten seconds after its node
has left: that is the protocol.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import etcd
import pytest

from rendezvous_core import RendezvousClosedError, RendezvousParameters
from rendezvous_core.testing.suites.threads import is_blocked, start
from rendezvous_etcd import EtcdServer, create_rdzv_handler
from tests.etcd.torch.nodes import torch_handler
from tests.etcd.waiting import until

# torch's threads that should renew its directories die at once.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

PATIENCE = 60.0
PAIRS = pytest.mark.parametrize("kinds", [("torch", "ours"), ("ours", "torch")], ids="-first".join)
Create = Callable[..., Any]


@pytest.fixture
def run_id() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def create(server: EtcdServer, run_id: str) -> Iterator[Create]:
    handlers = []

    def create(kind: str, min_nodes: int, max_nodes: int, **options: Any) -> Any:
        options = {"timeout": 120, "last_call_timeout": 4, **options}
        endpoint = server.get_endpoint()
        if kind == "torch":
            handlers.append(torch_handler(endpoint, run_id, min_nodes, max_nodes, **options))
        else:
            params = RendezvousParameters(
                "etcd", endpoint, run_id, min_nodes, max_nodes, "127.0.0.8", **options
            )
            handlers.append(create_rdzv_handler(params))
        return handlers[-1]

    yield create
    for handler in handlers:
        handler.shutdown()


def is_called(node: Any) -> bool:
    return bool(node.num_nodes_waiting() > 0)


def meet(*nodes: Any) -> list[Any]:
    """Have ``nodes`` ask one after the other, and check the round that they form."""
    asking = []
    for node in nodes:
        asking.append(start(node.next_rendezvous))
        if len(asking) < len(nodes):
            assert is_blocked(asking[-1], 0.2)
    infos = [each.result(PATIENCE) for each in asking]
    assert sorted(info.rank for info in infos) == list(range(len(nodes)))
    assert {info.world_size for info in infos} == {len(nodes)}
    first = min(infos, key=lambda info: info.rank)
    assert {info.bootstrap_store_info.master_addr for info in infos} == {
        first.bootstrap_store_info.master_addr
    }
    for info in infos:
        info.store.set(f"from/{info.rank}", b"%d" % info.rank)
    for info in infos:
        assert [info.store.get(f"from/{rank}") for rank in range(len(nodes))] == [
            b"%d" % rank for rank in range(len(nodes))
        ]
    return infos


@PAIRS
def test_a_full_round(create: Create, kinds: tuple[str, str]) -> None:
    infos = meet(*(create(kind, 2, 2) for kind in kinds))
    first = kinds[[info.rank for info in infos].index(0)]
    address = {"ours": "127.0.0.8", "torch": "127.0.0.9"}[first]
    assert infos[1].bootstrap_store_info.master_addr == address


@PAIRS
def test_last_call(create: Create, kinds: tuple[str, str]) -> None:
    """The node that completes the minimum runs the last call: each kind does, once."""
    meet(*(create(kind, 2, 4, last_call_timeout=1) for kind in kinds))


@PAIRS
@pytest.mark.parametrize("newcomer", ["torch", "ours"])
def test_a_newcomer_and_another_round(create: Create, kinds: tuple[str, str], newcomer: str) -> None:
    nodes = [create(kind, 2, 3) for kind in kinds]
    meet(*nodes)
    assert [node.num_nodes_waiting() for node in nodes] == [0, 0]
    third = create(newcomer, 2, 3)
    joining = start(third.next_rendezvous)
    for node in nodes:
        until(partial(is_called, node))
    asking = [joining, *(start(node.next_rendezvous) for node in nodes)]
    infos = [each.result(PATIENCE) for each in asking]
    assert sorted(info.rank for info in infos) == [0, 1, 2]
    assert {info.world_size for info in infos} == {3}


def test_the_death_of_a_torch_node_is_told_to_ours(create: Create) -> None:
    theirs, ours, other = (create(kind, 2, 3, last_call_timeout=2) for kind in ("torch", "ours", "ours"))
    meet(theirs, ours, other)
    theirs._rdzv_impl._lease_this_rank_stop.set()
    until(lambda: ours.num_nodes_waiting() > 0 and other.num_nodes_waiting() > 0)
    asking = [start(ours.next_rendezvous), start(other.next_rendezvous)]
    assert sorted(each.result(PATIENCE).rank for each in asking) == [0, 1]


def test_the_death_of_ours_is_found_by_a_torch_newcomer(create: Create) -> None:
    ours, theirs = create("ours", 2, 2), create("torch", 2, 2)
    meet(ours, theirs)
    ours._rendezvous.leave()
    asking = [start(theirs.next_rendezvous), start(create("torch", 2, 2).next_rendezvous)]
    assert sorted(each.result(PATIENCE).rank for each in asking) == [0, 1]


@PAIRS
def test_closing(create: Create, kinds: tuple[str, str]) -> None:
    closing, other = (create(kind, 2, 2) for kind in kinds)
    meet(closing, other)
    closing.set_closed()
    assert other.is_closed()
    assert other.num_nodes_waiting() == 0
    with pytest.raises(Exception) as caught:  # noqa: PT011
        other.next_rendezvous()
    assert type(caught.value).__name__ == RendezvousClosedError.__name__


def test_who_gives_up_leaves_no_rank_behind(create: Create) -> None:
    start(partial(create("ours", 3, 3, timeout=1).next_rendezvous)).exception(PATIENCE)
    meet(create("torch", 2, 2), create("ours", 2, 2))


def test_the_expiry_of_a_directory_made_by_torch_is_survived(
    server: EtcdServer, create: Create, run_id: str
) -> None:
    """torch gives the directory of a run two hours, which no client can extend; here it has ten seconds."""
    client: etcd.Client = server.get_client()
    client.write(f"/torchelastic/p2p/run_{run_id}", None, dir=True, ttl=10)
    nodes = [create("ours", 2, 3), create("ours", 2, 3)]
    meet(*nodes)
    state = f"/torchelastic/p2p/run_{run_id}/rdzv/active_version"
    before = client.read(state)

    def recreated() -> bool:
        with suppress(etcd.EtcdKeyNotFound):
            return bool(client.read(state).createdIndex != before.createdIndex)
        return False

    until(recreated)
    assert client.read(state).value == before.value
    newcomer = start(create("torch", 2, 3).next_rendezvous)
    for node in nodes:
        until(partial(is_called, node))
    asking = [newcomer, *(start(node.next_rendezvous) for node in nodes)]
    assert sorted(each.result(PATIENCE).rank for each in asking) == [0, 1, 2]
