"""What a long run leaves behind: nothing but its last two rounds."""

from collections.abc import Iterator

import pytest

from rendezvous_core.testing.memory import MemoryStore
from tests.core.handler.groups import Group, eventually, group


@pytest.fixture
def nodes() -> Iterator[Group]:
    with group() as members:
        yield members


def test_the_stores_of_rounds_that_are_two_behind_are_forgotten(nodes: Group) -> None:
    three = [nodes.node(2, 3, last_call=600) for _ in range(3)]
    store = MemoryStore(nodes.server, "store of run")

    def rounds_with_values() -> set[str]:
        return {key.split("/")[2] for key in store.list_keys() if key.endswith("/mine")}

    first = nodes.join(*three)
    for info in first:
        info.store.set("mine", b"1")
    rank_0 = next(node for node in three if node.joined and node.joined.rank == 0)
    rank_0.leave()  # who knew of the first round's store goes
    others = [node for node in three if node is not rank_0]
    for expected in ({"0", "1"}, {"1", "2"}, {"2", "3"}):
        for info in nodes.join(*others):
            info.store.set("mine", b"1")
        eventually(lambda expected=expected: rounds_with_values() == expected, "older ones are gone")  # type: ignore[misc]
