"""Large groups, as they take it here, keep their ledger apart from the state."""

from collections.abc import Iterator
from typing import Any

import pytest

from rendezvous_core import DynamicRendezvousHandler
from rendezvous_core.dynamic import assembly
from rendezvous_core.dynamic.ledgers import Ledgers
from rendezvous_core.records.codec import decode_state
from rendezvous_core.records.ledger import HEIRS
from rendezvous_core.testing.memory import MemoryBackend, MemoryStore
from tests.core.handler.groups import PATIENCE, Group, eventually, group

COUNT = HEIRS + 3


@pytest.fixture(params=["clear", "sealed"])
def nodes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    monkeypatch.setattr(assembly, "PAGE", 2)
    monkeypatch.setenv(
        "RENDEZVOUS_SECRET", "a secret of no less than sixteen letters" * (request.param == "sealed")
    )
    with group() as members:
        yield members


def store(nodes: Group) -> MemoryStore:
    return MemoryStore(nodes.server, "store of run")


def pages(nodes: Group) -> list[str]:
    return [key for key in store(nodes).list_keys() if "/ledger/" in key]


def start(nodes: Group, **options: Any) -> list[DynamicRendezvousHandler]:
    members = [nodes.node(2, COUNT, **{"last_call": 600, **options}) for _ in range(COUNT)]
    nodes.join(*members)
    return members


def lose(nodes: Group) -> None:
    for key in pages(nodes):
        store(nodes).delete_key(key)


def is_heir(node: DynamicRendezvousHandler) -> bool:
    return node.joined is not None and node.joined.rank < HEIRS


def coordinates(node: DynamicRendezvousHandler) -> bool:
    state = node._driver.state
    return state is not None and state.coordinator == node.node_id


def test_the_state_names_a_ledger_and_does_not_hold_it(nodes: Group) -> None:
    start(nodes)
    found = MemoryBackend(nodes.server, "run").get_state()
    assert found
    if not found[0].startswith(b"{"):
        return  # sealed
    state = decode_state(found[0])
    assert state.apart
    assert (state.roster, state.world_size, state.still_active) == ((), COUNT, COUNT)
    assert len(pages(nodes)) == state.apart.pages == COUNT / 2, "and those of former ones are gone"
    whole = Ledgers(store(nodes), "run").complete(state)
    assert len(whole.active()) == COUNT


def test_who_leaves_is_told_so_though_its_page_is_lost(nodes: Group) -> None:
    members = start(nodes)
    leaver = next(
        node for node in members if node.joined and node.joined.rank >= HEIRS and not coordinates(node)
    )
    lose(nodes)
    assert leaver.leave()
    staying = [node for node in members if node is not leaver]
    for node in staying:
        eventually(lambda node=node: node.num_nodes_waiting() > 0, "all are told")  # type: ignore[misc]
    nodes.join(*staying)


def test_who_asks_learns_its_rank_though_its_page_was_lost(
    nodes: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = start(nodes)
    lost: list[bool] = []
    write = Ledgers.write

    def write_and_lose(self: Ledgers, *arguments: object) -> None:
        write(self, *arguments)  # type: ignore[arg-type]
        if not lost:
            lost.append(True)
            lose(nodes)

    monkeypatch.setattr(Ledgers, "write", write_and_lose)
    nodes.join(*members)
    assert lost


def test_nodes_outlive_their_ledger_and_its_coordinator(nodes: Group) -> None:
    # Where a busy machine keeps all of the first ranks from taking over, the round is formed anew.
    members = start(nodes, last_call=0.5)
    leader = next(node for node in members if coordinates(node))
    lose(nodes)
    leader._driver.stop(PATIENCE)
    staying = [node for node in members if node is not leader]
    for node in staying:
        eventually(lambda node=node: node.num_nodes_waiting() > 0, "its death is told")  # type: ignore[misc]
    nodes.join(*staying)


def test_a_bare_register_keeps_all_in_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "PAGE", 1)
    with group("register") as members:
        members.join(*(members.node(3, 3) for _ in range(3)))
        assert not pages(members)
