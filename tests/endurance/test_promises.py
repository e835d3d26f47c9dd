"""What is held against the promises is noticed where it breaks them."""

from typing import Any

import pytest

from tests.endurance.promises import examine


def joined(node: str, rank: int, **fields: Any) -> dict[str, Any]:
    told = {"event": "joined", "node": node, "holder": node, "rank": rank}
    return told | {"round": 0, "round_id": "id", "world_size": 2} | fields


SOUND = [[joined("a", 0), joined("a", 1, round=1, round_id="next")], [joined("b", 1)]]


def test_sound_run() -> None:
    found = examine(SOUND, 2, 2, ["b"], frozenset("b"))
    assert not found.broken
    assert found.tried["agreement"] == 3


@pytest.mark.parametrize(
    ("promise", "event"),
    [
        ("agreement", joined("c", 2, world_size=3)),
        ("uniqueness of ranks", joined("c", 0)),
        ("uniqueness of ranks", joined("c", 2)),
        ("uniqueness of rounds", joined("c", 0, round_id="other")),
        ("fencing", joined("c", 0, round=2, round_id="other", holder="a")),
        ("bounds", joined("c", 0, round=2, round_id="other", world_size=1)),
    ],
)
def test_broken_promise(promise: str, event: dict[str, Any]) -> None:
    broken = examine([*SOUND, [event]], 2, 2, [], frozenset()).broken
    assert promise in {each.partition(":")[0] for each in broken}


def test_two_ranks_of_a_node_are_noticed() -> None:
    (broken,) = examine([[joined("a", 0)], [joined("a", 1)]], 2, 2, [], frozenset()).broken
    assert broken.startswith("one rank a node")


def test_rounds_that_go_back_break_finality() -> None:
    back = [joined("a", 0, round=1, round_id="next"), joined("a", 0)]
    (broken,) = examine([back], 2, 2, [], frozenset()).broken
    assert broken.startswith("finality")


def test_who_was_lost_though_nothing_befell_it_breaks_exclusivity() -> None:
    (broken,) = examine(SOUND, 2, 2, ["a"], frozenset("b")).broken
    assert broken.startswith("exclusivity")
