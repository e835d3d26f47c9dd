"""What a group of handlers does, over each kind of backend."""

from collections.abc import Iterator

import pytest

from rendezvous_core import (
    RendezvousClosedError,
    RendezvousGracefulExitError,
    RendezvousTimeoutError,
)
from rendezvous_core.dynamic import assembly
from tests.core.handler.groups import PATIENCE, Group, eventually, group, kill


@pytest.fixture(params=["memory", "store", "register", "pages"])
def nodes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    kind = request.param
    if kind == "pages":  # as in large groups
        kind = "memory"
        monkeypatch.setattr(assembly, "PAGE", 1)
    with group(kind) as members:
        yield members


def test_a_full_group_forms_at_once(nodes: Group) -> None:
    infos = nodes.join(*(nodes.node(3, 3, last_call=600) for _ in range(3)))
    infos[0].store.set("key", b"value")
    assert infos[1].store.get("key") == b"value"


def test_a_single_node_is_a_group(nodes: Group) -> None:
    assert nodes.join(nodes.node(1, 1))[0].world_size == 1


def test_last_call_ends_the_wait_for_more(nodes: Group) -> None:
    nodes.join(nodes.node(2, 4), nodes.node(2, 4))


def test_all_learn_of_a_late_node_and_admit_it(nodes: Group) -> None:
    first, second, late = (nodes.node(2, 3) for _ in range(3))
    before = nodes.join(first, second)
    assert first.num_nodes_waiting() == second.num_nodes_waiting() == 0
    (arriving,) = nodes.ask(late)
    eventually(lambda: first.num_nodes_waiting() == second.num_nodes_waiting() == 1, "the knock is heard")
    asked = nodes.ask(first, second)
    infos = [future.result(PATIENCE) for future in [*asked, arriving]]
    assert sorted(info.rank for info in infos) == [0, 1, 2]
    assert infos[0].rank == before[0].rank, "survivors keep their ranks"
    assert first.num_nodes_waiting() == 0


def test_rounds_do_not_share_their_stores(nodes: Group) -> None:
    pair = nodes.node(), nodes.node()
    nodes.join(*pair)[0].store.set("key", b"old")
    assert not nodes.join(*pair)[0].store.check(["key"])


def test_runs_do_not_meet(nodes: Group) -> None:
    ours = [nodes.node(2, 2, run_id="ours") for _ in range(2)]
    theirs = [nodes.node(2, 2, run_id="theirs") for _ in range(2)]
    asked = nodes.ask(*ours, *theirs)
    assert sorted(future.result(PATIENCE).rank for future in asked) == [0, 0, 1, 1]


def test_a_spare_waits_quietly_and_takes_the_place_of_the_dead(nodes: Group) -> None:
    first, second, spare = (nodes.node(2, 2) for _ in range(3))
    nodes.join(first, second)
    (standing_by,) = nodes.ask(spare)
    eventually(lambda: spare._driver.node._spare, "the spare stands by")
    assert first.num_nodes_waiting() == 0
    kill(second)
    eventually(lambda: first.num_nodes_waiting() > 0, "the death is noticed")
    (asked,) = nodes.ask(first)
    assert {asked.result(PATIENCE).rank, standing_by.result(PATIENCE).rank} == {0, 1}


def test_a_spare_of_a_closed_run_exits_gracefully(nodes: Group) -> None:
    first, second, spare = (nodes.node(2, 2) for _ in range(3))
    nodes.join(first, second)
    (standing_by,) = nodes.ask(spare)
    eventually(lambda: spare._driver.node._spare, "the spare stands by")
    assert first.shutdown()
    with pytest.raises(RendezvousGracefulExitError):
        standing_by.result(PATIENCE)


def test_the_death_of_the_coordinator_is_noticed(nodes: Group) -> None:
    three = [nodes.node(2, 3, last_call=600) for _ in range(3)]
    nodes.join(*three)
    (coordinator,) = (each for each in three if each._driver.node._leads())
    kill(coordinator)
    survivors = [each for each in three if each is not coordinator]
    eventually(lambda: all(each.num_nodes_waiting() > 0 for each in survivors), "the death is noticed")
    nodes.join(*survivors)


def test_who_leaves_does_not_close(nodes: Group) -> None:
    three = [nodes.node(2, 3, last_call=600) for _ in range(3)]
    nodes.join(*three)
    assert three[0].leave()
    eventually(lambda: all(each.num_nodes_waiting() > 0 for each in three[1:]), "the others are told")
    nodes.join(*three[1:])
    assert not three[1].is_closed()


def test_who_left_may_come_back(nodes: Group) -> None:
    pair = nodes.node(), nodes.node()
    nodes.join(*pair)
    assert pair[0].leave()
    nodes.join(*pair)


def test_who_is_done_disturbs_nobody_and_the_last_one_closes(nodes: Group) -> None:
    pair = nodes.node(), nodes.node()
    nodes.join(*pair)
    assert pair[0].leave(done=True)
    assert pair[1].num_nodes_waiting() == 0
    assert pair[1].leave(done=True)
    assert pair[0].is_closed()


def test_closing_ends_it_for_all(nodes: Group) -> None:
    pair = nodes.node(), nodes.node()
    nodes.join(*pair)
    pair[0].set_closed()
    eventually(pair[1].is_closed, "the other is told")
    for handler in pair:
        with pytest.raises(RendezvousClosedError, match="'run' is closed"):
            handler.next_rendezvous()


def test_a_run_may_be_closed_before_it_begins(nodes: Group) -> None:
    nodes.node().set_closed()
    with pytest.raises(RendezvousClosedError):
        nodes.node().next_rendezvous()


def test_a_timeout_says_who_is_there_and_how_many_are_missing(nodes: Group) -> None:
    alone = nodes.node(3, 3, join=0.5, interval=5, address="node7.example")
    with pytest.raises(
        RendezvousTimeoutError,
        match=r"1 of at least 3 nodes are there \(.* \(node7.example\) pid .*\); 2 more",
    ):
        alone.next_rendezvous()


def test_who_timed_out_is_not_ranked_and_may_ask_again(nodes: Group) -> None:
    early, late = nodes.node(2, 2, join=0.5), nodes.node(2, 2)
    with pytest.raises(RendezvousTimeoutError):
        early.next_rendezvous()
    (waiting,) = nodes.ask(late)
    (again,) = nodes.ask(early)
    assert {waiting.result(PATIENCE).rank, again.result(PATIENCE).rank} == {0, 1}


def test_many_nodes(nodes: Group) -> None:
    count = 8 if nodes.kind == "register" else 32
    many = [nodes.node(count, count, interval=1.0) for _ in range(count)]
    nodes.join(*many)
    nodes.join(*many)
