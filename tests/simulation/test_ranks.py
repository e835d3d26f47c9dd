"""Who stands where in a round (Rule 20)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rendezvous_core.plugins.ranks import keep_ranks, rank, rank_by_place
from rendezvous_core.records.member import Member, natural


def member(name: str, place: str | None = None, **fields: Any) -> Member:
    metadata = {} if place is None else {"place": place}
    defaults: dict[str, Any] = {"address": "", "pid": 1, "dead_after": 3.0, "metadata": metadata}
    return Member(node=name, **(defaults | fields))


NAMES = st.lists(st.sampled_from("abcdefghij"), unique=True)
PLACED = st.dictionaries(
    st.sampled_from("abcdefghij"), st.sampled_from(["z1/r1", "z1/r2", "z2/r1", "z2", "z10/r1", None])
)


@given(present=NAMES, previous=NAMES)
def test_survivors_stay_where_they_can(present: list[str], previous: list[str]) -> None:
    ranks = keep_ranks([member(name) for name in present], previous)
    survivors = [name for name in previous if name in present]
    assert sorted(ranks) == sorted(present), "everybody has one rank"
    assert [name for name in ranks if name in survivors] == survivors, "survivors keep their order"
    if survivors:
        assert ranks[0] == survivors[0], "rank 0 has seen the round before"
    if len(present) >= len(previous):
        for name in survivors[1:]:
            assert ranks.index(name) == previous.index(name), "who can keep its rank keeps it"


def test_newcomers_rank_by_hint_then_by_address_then_by_id() -> None:
    newcomers = [
        member("a", address="node10"),
        member("c", address="node2"),
        member("b", address="node2"),
        member("d", address="node3", rank_hint=1),
        member("e", address="node9", rank_hint=0),
    ]
    assert keep_ranks(newcomers, []) == ["e", "d", "b", "c", "a"]
    assert keep_ranks(newcomers, ["x", "a"]) == ["a", "e", "d", "b", "c"], "holes are filled in that order"


@pytest.mark.parametrize(
    "names",
    [
        ["node1", "node2", "node3", "node10", "node11", "node20"],
        ["10.0.0.2", "10.0.0.10", "10.0.1.1"],
        ["gpu-2a", "gpu-10a", "gpu-10b"],
        ["node", "node0", "node1", "nodes"],
        ["9" * 900, "1" + "0" * 900],
    ],
)
def test_numbers_in_names_sort_by_value(names: list[str]) -> None:
    assert sorted(set(names), key=natural) == names


def test_neighbours_stand_side_by_side() -> None:
    members = [
        member("a", "zone2/rack1", address="n1"),
        member("b", "zone10/rack1", address="n2"),
        member("c", "zone2/rack2", address="n3"),
        member("d", "zone2/rack1", address="n4"),
        member("e", address="n5"),
        member("f", "zone10/rack1", address="n6"),
    ]
    assert rank(members, []) == ["a", "d", "c", "b", "f", "e"]


@pytest.mark.parametrize(
    ("present", "previous", "expected"),
    [
        ("a1 n1 b1 b2", "a1 a2 b1 b2", "a1 n1 b1 b2"),  # no neighbour of a's, but the gap fits
        ("a1 a9 b1 b2", "a1 a2 b1 b2", "a1 a9 b1 b2"),
        ("a1 b9 b1 b2", "a1 b0 b1 b2", "a1 b9 b1 b2"),  # a newcomer before its neighbours
        ("a1 d1 d2 c1 c2", "a1 b1 b2 c1 c2", "a1 d1 d2 c1 c2"),  # a new place between
        ("a1 a9 b1 b2", "a1 b1 b2", "a1 a9 b1 b2"),  # neighbours go before ranks
        ("d1 d2 b1 b2", "a1 a2 b1 b2", "b1 b2 d1 d2"),  # rank 0 is a survivor's
    ],
)
def test_as_few_move_as_neighbours_allow(present: str, previous: str, expected: str) -> None:
    members = [member(name, name[0]) for name in present.split()]
    assert rank(members, previous.split()) == expected.split()


@given(places=PLACED, previous=NAMES)
def test_places_are_without_gaps(places: dict[str, str | None], previous: list[str]) -> None:
    ranked = rank_by_place([member(name, place) for name, place in places.items()], previous)
    assert sorted(ranked) == sorted(places), "everybody has one rank"
    for depth in (1, 2):
        blocks = [("/".join((places[name] or "").split("/")[:depth])) for name in ranked]
        changes = [block for at, block in enumerate(blocks) if at == 0 or blocks[at - 1] != block]
        assert len(changes) == len(set(changes)), "a place is one block"
    survivors = [name for name in previous if name in places]
    if survivors:
        assert ranked[0] == survivors[0], "rank 0 has seen the round before"
