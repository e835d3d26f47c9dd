"""Groups that form again, as their users want it: who is waited for, when, how many, and who is where."""

from collections.abc import Iterator
from typing import Any

import pytest

from rendezvous_core import RendezvousParameters, RendezvousStateError
from rendezvous_core.dynamic.creation import create_handler
from rendezvous_core.dynamic.launchers import RANK_VARIABLES, find_job, find_rank_hint
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from tests.core.handler.groups import PATIENCE, Group, eventually, group, kill


@pytest.fixture
def nodes() -> Iterator[Group]:
    with group() as members:
        yield members


def test_survivors_are_together_again_without_a_last_call(nodes: Group) -> None:
    """Last call would take longer than any test may."""
    three = [nodes.node(2, 3, last_call=600) for _ in range(3)]
    nodes.join(*three)
    three[2].leave()
    nodes.join(*three[:2])
    newcomer = nodes.node(2, 3, last_call=600)
    nodes.ask(newcomer)
    eventually(lambda: three[0].num_nodes_waiting() == 1, "the knock is heard")
    nodes.ask(*three[:2])
    eventually(lambda: newcomer.joined and newcomer.joined.world_size == 3, "all are in")
    kill(newcomer)
    eventually(lambda: three[0].num_nodes_waiting() == 1, "its death is noticed")
    nodes.join(*three[:2])


def test_newcomers_wait_until_there_is_another_reason(nodes: Group) -> None:
    options: dict[str, Any] = {"admit_newcomers": "next_round", "last_call": 600}
    pair = [nodes.node(2, 3, **(options | {"last_call": 0.1})) for _ in range(2)]
    nodes.join(*pair)
    (asked,) = nodes.ask(nodes.node(2, 3, **options))
    assert not pair[0].wait_for_membership_change(0.5)
    pair[0].leave()
    assert pair[1].wait_for_membership_change(PATIENCE)
    assert {future.result(PATIENCE).world_size for future in [asked, *nodes.ask(pair[1])]} == {2}


def test_who_is_left_over_stands_by(nodes: Group) -> None:
    three = [nodes.node(1, 4, nodes_multiple_of=2, last_call=0.3) for _ in range(3)]
    asked = nodes.ask(*three)
    eventually(lambda: sum(future.done() for future in asked) == 2, "two of three are in")
    assert {future.result().world_size for future in asked if future.done()} == {2}
    nodes.ask(nodes.node(1, 4, nodes_multiple_of=2))
    inside = [handler for handler, future in zip(three, asked, strict=True) if future.done()]
    eventually(lambda: all(handler.num_nodes_waiting() == 2 for handler in inside), "two more knock")
    nodes.ask(*inside)
    eventually(lambda: all(each.joined and each.joined.world_size == 4 for each in three), "four are in")


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"nodes_multiple_of": 2}, "nodes_multiple_of is 2 here and 1 there"),
        ({"admit_newcomers": 5}, "admit_newcomers is 5.0 here and at_once there"),
    ],
)
def test_what_decides_who_is_in_is_agreed(nodes: Group, options: dict[str, Any], difference: str) -> None:
    nodes.join(nodes.node(2, 4), nodes.node(2, 4))
    with pytest.raises(RendezvousStateError, match=difference):
        nodes.node(2, 4, **options).next_rendezvous()


def test_ranks_follow_hints_then_addresses(nodes: Group) -> None:
    hinted = [nodes.node(4, 4, rank_hint=hint) for hint in (1, 0)]
    others = [nodes.node(4, 4, address=address) for address in ("node10", "node2")]
    ranks = [future.result(PATIENCE).rank for future in nodes.ask(*hinted, *others)]
    assert ranks == [1, 0, 3, 2]


def create(**options: Any) -> Any:
    server = MemoryServer()
    params = RendezvousParameters("memory", "", "run", 2, 4, **options)
    return create_handler(MemoryStore(server), MemoryBackend(server, "run"), params)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"last_call": "never"}, r"The option 'last_call' \('never'\) must be expected or wait"),
        ({"admit_newcomers": "soon"}, "must be at_once, next_round, or a number of seconds from 0.001"),
        ({"admit_newcomers": "0"}, "must be at_once"),
        ({"admit_newcomers": "nan"}, "must be at_once"),
        ({"admit_newcomers": 1e6}, "to 86400"),
        ({"nodes_multiple_of": 0}, "must be an integer from 1 to 1000000"),
        ({"nodes_multiple_of": 5}, r"No world size is a multiple of nodes_multiple_of \(5\)"),
        ({"rank_hint": -1}, "must be an integer from 0 to 1000000"),
    ],
)
def test_impossible_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create(**options)


def test_options_are_read_as_typed_and_as_text() -> None:
    for options in (
        {"last_call": "wait", "admit_newcomers": 2.5, "nodes_multiple_of": 2},
        {"last_call": "WAIT", "admit_newcomers": " 2.5", "nodes_multiple_of": "2"},
    ):
        settings = create(**options).settings
        assert (settings.last_call, settings.admit_newcomers) == ("wait", 2.5)
        assert settings.nodes_multiple_of == 2


@pytest.mark.parametrize(
    ("environment", "hint"),
    [
        ({}, None),
        ({"SLURM_NODEID": "3"}, 3),
        ({"PMI_RANK": "7", "GROUP_RANK": "2"}, 2),
        ({"GROUP_RANK": "first", "NODE_RANK": "-1", "PMI_RANK": "4"}, 4),
        ({"GROUP_RANK": "9" * 5000}, None),
        ({"GROUP_RANK": "\u0663"}, None),
        ({"GROUP_RANK": ""}, None),
    ],
)
def test_the_launcher_says_where_a_node_stands(environment: dict[str, str], hint: int | None) -> None:
    assert find_rank_hint(environment) == hint


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["/usr/bin/torchrun", "--node-rank=3", "train.py"], 3),
        (["torchrun", "--node_rank", "2", "train.py", "--node-rank=9"], 2),
        (["/lib/torch/distributed/run.py", "--node-rank", "1", "train.py"], 1),
        (["torchrun", "train.py"], 7),
        (["train.py", "--node-rank=3"], 7),
        (["torchrun", "--node-rank", "x"], 7),
    ],
)
def test_torchrun_says_it_on_its_command_line(command: list[str], hint: int) -> None:
    assert find_rank_hint({"SLURM_NODEID": "7"}, command) == hint


def test_torchrun_tells_what_it_runs() -> None:
    same = {
        find_job(["/usr/bin/torchrun", *options, "train.py", "--lr", "1"])
        for options in (
            [],
            ["--nnodes=1:4", "--node-rank", "3", "--rdzv_conf", "a=b"],
            ["--standalone", "--nproc_per_node", "2", "-r", "3", "-t3"],
            ["--stand", "--no_py", "--"],
        )
    }
    assert len(same) == 1
    for other in (["train.py", "--lr", "2"], ["other.py", "--lr", "1"], ["train.py", "--lr 1"], []):
        assert find_job(["torchrun", *other]) not in same
    assert find_job(["train.py", "--lr", "1"]) == ""
    assert find_job([]) == ""


def test_a_hint_that_is_given_goes_before_the_launchers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RANK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_NODEID", "5")
    hints = [create(**options)._driver.node.member.rank_hint for options in ({}, {"rank_hint": "1"})]
    assert hints == [5, 1]
