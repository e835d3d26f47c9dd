"""What a handler costs its backend."""

from collections import Counter
from collections.abc import Iterator

import pytest

from rendezvous_core.testing.memory import MemoryBackend
from tests.core.handler.groups import Faulty, Group, eventually, group


@pytest.fixture
def nodes() -> Iterator[Group]:
    with group() as members:
        yield members


@pytest.mark.parametrize("count", [2, 8, 32])
def test_a_round_costs_a_constant_number_of_operations_per_node(nodes: Group, count: int) -> None:
    backends = [Faulty(MemoryBackend(nodes.server, "run")) for _ in range(count)]
    nodes.join(*(nodes.node(count, count, backend=backend, interval=60) for backend in backends))
    calls = Counter(call for backend in backends for call in backend.calls)
    assert calls.total() <= 8 * count, calls


def test_a_first_node_writes_the_state_once(nodes: Group) -> None:
    """Its first heartbeat calls for no renewal, which would wake everybody while they arrive."""
    backend = Faulty(MemoryBackend(nodes.server, "run"))
    nodes.ask(nodes.node(2, 2, backend=backend, interval=60))
    eventually(lambda: backend.calls[-1:] == ["wait_for_change"], "it waits")
    assert backend.calls == ["get_state", "set_state", "put_member", "members", "wait_for_change"]


def test_looking_costs_no_round_trip(nodes: Group) -> None:
    backends = [Faulty(MemoryBackend(nodes.server, "run")) for _ in range(2)]
    pair = [nodes.node(2, 2, backend=backend, interval=60) for backend in backends]
    nodes.join(*pair)
    eventually(lambda: all(each.calls[-1] == "wait_for_change" for each in backends), "all is quiet")
    before = [len(backend.calls) for backend in backends]
    for handler in pair:
        assert handler.num_nodes_waiting() == 0
        assert not handler.is_closed()
    assert [len(backend.calls) for backend in backends] == before


def test_an_idle_follower_makes_two_operations_in_an_interval(nodes: Group) -> None:
    backends = [Faulty(MemoryBackend(nodes.server, "run")) for _ in range(4)]
    four = [nodes.node(4, 4, backend=backend, interval=0.3) for backend in backends]
    nodes.join(*four)
    followers = [
        backend for handler, backend in zip(four, backends, strict=True) if not handler._driver.node._leads()
    ]
    for backend in followers:
        backend.calls.clear()
    eventually(lambda: all(each.calls.count("put_member") >= 10 for each in followers), "ten heartbeats")
    for backend in followers:
        calls = Counter(backend.calls)
        assert calls["get_state"] <= calls["put_member"] * 1.5
        assert calls.keys() <= {"get_state", "put_member", "wait_for_change"}
