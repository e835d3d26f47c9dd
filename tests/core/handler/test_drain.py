"""Nodes that must go say so ahead; the others are told, and go on without them."""

import logging
from collections.abc import Iterator
from math import inf

import pytest

from rendezvous_core import DynamicRendezvousHandler, Notice, RendezvousGracefulExitError
from tests.core.handler.groups import PATIENCE, Faulty, Group, eventually, group, kill

LONG = 1000.0


def told(handler: DynamicRendezvousHandler) -> Notice:
    notice = handler.wait_for_notice(PATIENCE)
    assert notice is not None, "no notice came"
    return notice


@pytest.fixture
def nodes() -> Iterator[Group]:
    with group() as nodes:
        yield nodes


def rank_of(handler: DynamicRendezvousHandler) -> int:
    assert handler.joined is not None
    return handler.joined.rank


def test_all_participants_are_told_and_the_group_forms_without_the_one(nodes: Group) -> None:
    stays, goes, also_stays = handlers = [nodes.node() for _ in range(3)]
    nodes.join(*handlers)
    assert [handler.notice() for handler in handlers] == [None] * 3
    assert goes.drain(LONG)
    for handler in handlers:
        notice = told(handler)
        assert notice.ranks == (rank_of(goes),)
        assert LONG - PATIENCE < notice.seconds <= LONG
        assert notice.mine is (handler is goes)
        assert handler.num_nodes_waiting() == 0, "they go on until it is gone"
    with pytest.raises(RendezvousGracefulExitError, match="drains"):
        goes.next_rendezvous()
    assert stays.wait_for_membership_change(PATIENCE)
    assert stays.notice() is None
    infos = nodes.join(stays, also_stays)
    assert infos[0].world_size == 2
    assert stays.notice() is None
    assert stays.num_nodes_waiting() == 0, "it does not come back by itself"
    (asked,) = nodes.ask(goes)
    assert stays.wait_for_membership_change(PATIENCE), "it does when it is asked"
    assert {each.result(PATIENCE).world_size for each in (asked, *nodes.ask(stays, also_stays))} == {3}


def test_a_node_goes_at_its_deadline_whatever_its_user_does(nodes: Group) -> None:
    stays, goes = handlers = [nodes.node(1, 2, last_call=600) for _ in range(2)]
    nodes.join(*handlers)
    goes.drain(0.2)
    assert stays.wait_for_membership_change(PATIENCE)
    assert nodes.join(stays)[0].world_size == 1
    assert not goes.wait_for_membership_change(PATIENCE)


def test_others_can_have_nodes_go(nodes: Group) -> None:
    stays, goes, spare = (nodes.node(1, 2, last_call=600) for _ in range(3))
    nodes.join(stays, goes)
    (waiting,) = nodes.ask(spare)
    outside = nodes.node(1, 2, last_call=600)
    eventually(lambda: spare.node_id in outside._driver.members(inf), "the spare waits")
    assert outside.drain(LONG, [goes.node_id, spare.node_id])
    assert told(goes).mine
    assert told(stays).ranks == (rank_of(goes),)
    with pytest.raises(RendezvousGracefulExitError, match="drains"):
        waiting.result(PATIENCE)


def test_who_drains_is_not_taken_into_the_next_round_for_another_reason(nodes: Group) -> None:
    stays, goes, dies = handlers = [nodes.node(1, 3, last_call=600) for _ in range(3)]
    nodes.join(*handlers)
    goes.drain(LONG)
    for handler in (stays, goes):
        told(handler)
    kill(dies)
    assert goes.wait_for_membership_change(PATIENCE)
    with pytest.raises(RendezvousGracefulExitError):
        goes.next_rendezvous()
    assert nodes.join(stays)[0].world_size == 1


def test_a_node_that_cannot_tell_goes_nevertheless(nodes: Group) -> None:
    wire = Faulty(nodes.backend())  # type: ignore[arg-type]
    stays = nodes.node(1, 2)
    goes = nodes.node(1, 2, backend=wire)
    nodes.join(stays, goes)
    wire.cut()
    done = nodes._pool.submit(goes.drain, 0.2)
    assert wire.failed.wait(PATIENCE)
    wire.mend()
    assert done.result(PATIENCE)
    assert stays.wait_for_membership_change(PATIENCE)
    assert nodes.join(stays)[0].world_size == 1


def test_a_node_that_is_in_no_round_has_nobody_to_tell(nodes: Group) -> None:
    alone = nodes.node(1, 1)
    assert alone.drain(LONG)
    assert nodes.join(alone)[0].world_size == 1
    for deadline in (0, -1, float("nan"), 1e9):
        with pytest.raises(ValueError, match=r"The deadline .* from 0\.001 to 86400"):
            alone.drain(deadline)


def test_observers_are_told(nodes: Group, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rendezvous_core")
    stays, goes = handlers = [nodes.node(1, 2, last_call=600) for _ in range(2)]
    nodes.join(*handlers)
    goes.drain(LONG)

    def events() -> list[dict[str, object]]:
        return [vars(each) for each in caplog.records if getattr(each, "rdzv_event", "") == "drains"]

    eventually(lambda: len(events()) == 2, "both are told")
    assert {event["rdzv_node"] for event in events()} == {stays.node_id, goes.node_id}
    assert {event["rdzv_rank"] for event in events()} == {rank_of(goes)}
