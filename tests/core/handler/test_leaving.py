"""News that must not wait for a heartbeat: here one comes every five minutes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rendezvous_core.testing.memory import MemoryBackend
from tests.core.handler.groups import PATIENCE, Group, eventually, group

SELDOM = 300.0


@pytest.fixture
def nodes() -> Iterator[Group]:
    with group() as members:
        yield members


def test_all_who_finish_at_the_same_time_are_heard(nodes: Group) -> None:
    """Whoever coordinates goes too, and hands over to one who is about to go."""
    for trial in range(30):
        handlers = [nodes.node(1, 4, run_id=f"run {trial}", interval=SELDOM, last_call=600) for _ in range(4)]
        nodes.join(*handlers)
        with ThreadPoolExecutor(len(handlers)) as pool:
            assert all(pool.map(lambda handler: handler.leave(done=True), handlers))
        assert handlers[0].is_closed()


def test_a_participant_can_wait_until_somebody_knocks(nodes: Group) -> None:
    first, second, late = (nodes.node(2, 3, interval=SELDOM) for _ in range(3))
    nodes.join(first, second)
    assert not first.wait_for_membership_change(timeout=0.01)
    with ThreadPoolExecutor() as pool:
        told = [pool.submit(handler.wait_for_membership_change) for handler in (first, second)]
        asked = nodes.ask(late)
        assert [future.result(PATIENCE) for future in told] == [True, True]
    asked += nodes.ask(first, second)
    assert sorted(future.result(PATIENCE).rank for future in asked) == [0, 1, 2]


def test_waiting_for_a_change_ends_when_the_node_itself_goes(nodes: Group) -> None:
    first, second = (nodes.node(2, 2, interval=SELDOM) for _ in range(2))
    nodes.join(first, second)
    with ThreadPoolExecutor() as pool:
        told = pool.submit(first.wait_for_membership_change)
        first.leave()
        assert told.result(PATIENCE) is False
        assert second.wait_for_membership_change(PATIENCE)
        asked = nodes.ask(first, second)
        assert sorted(future.result(PATIENCE).rank for future in asked) == [0, 1]


def test_leaving_ends_an_ask_under_way(nodes: Group) -> None:
    handler = nodes.node(2, 2, interval=SELDOM)
    (asked,) = nodes.ask(handler)
    eventually(lambda: MemoryBackend(nodes.server, "run").members().records, "the node has asked")
    assert handler.leave()
    with pytest.raises(Exception, match="has left the rendezvous while it was waiting"):
        asked.result(PATIENCE)
    assert handler.joined is None
