"""What coordinators put down of a run, beside its rounds, for those who look later."""

from collections.abc import Iterator

import pytest

from rendezvous_core.dynamic.history import (
    MOST_BYTES,
    MOST_EVENTS,
    Happening,
    Named,
    Recorder,
    history_key,
    read_history,
)
from rendezvous_core.testing.memory import MemoryServer, MemoryStore
from tests.core.handler.groups import PATIENCE, Group, eventually, group

RUN = "run"


@pytest.fixture
def nodes() -> Iterator[Group]:
    with group() as members:
        yield members


def put_down(nodes: Group) -> tuple[Happening, ...]:
    return read_history(MemoryStore(nodes.server, f"store of {RUN}"), RUN)


def happened(nodes: Group) -> list[tuple[str, str | None, int]]:
    """The events so far: kind, reason, and of how many nodes."""
    return [(each.kind, each.reason, each.number) for each in put_down(nodes)]


def test_a_run_is_put_down_from_its_beginning_to_its_end(nodes: Group) -> None:
    three = [nodes.node(2, 3, interval=1.0, run_id=RUN, last_call=600) for _ in range(3)]
    nodes.join(*three)
    eventually(lambda: ("formed", None, 3) in happened(nodes), "the round is put down")
    three[0].leave()
    asked = nodes.ask(*three[1:])
    assert {future.result(PATIENCE).world_size for future in asked} == {2}
    for handler in three[1:]:
        handler.leave(done=True)
    eventually(lambda: happened(nodes)[-1][0] == "closed", "the end is put down")
    events = put_down(nodes)
    assert [event.kind for event in events[:2]] == ["began", "formed"]
    (left,) = [event for event in events if event.reason == "left"]
    assert left.nodes[0].node == three[0].node_id
    assert (left.nodes[0].host, left.nodes[0].pid) != ("", None)
    assert left.nodes[0].rank is not None
    again = [each.node for event in events if event.reason == "again" for each in event.nodes]
    assert sorted(again) == sorted(handler.node_id for handler in three[1:])
    formed = [event for event in events if event.kind == "formed"]
    assert [event.world_size for event in formed] == [3, 2]
    assert all(event.took is None or event.took >= 0 for event in formed)


def test_a_death_is_put_down_with_the_time_it_took_to_be_found(nodes: Group) -> None:
    pair = [nodes.node(1, 2, interval=0.5, run_id=RUN, last_call=600) for _ in range(2)]
    nodes.join(*pair)
    pair[0]._driver.stop(PATIENCE)
    assert pair[1].wait_for_membership_change(PATIENCE)
    eventually(lambda: ("departed", "lost", 1) in happened(nodes), "the death is put down")
    (lost,) = [event for event in put_down(nodes) if event.reason == "lost"]
    assert lost.nodes[0].node == pair[0].node_id
    assert lost.took is not None
    assert lost.took >= 1


def event(number: int, text: str = "") -> Happening:
    return Happening(at=float(number), kind="called", round=0, number=number, nodes=(Named(text or "n"),))


def test_what_is_kept_is_bounded_in_number_and_bytes() -> None:
    store = MemoryStore(MemoryServer())
    recorder = Recorder(store, RUN)
    for start in range(0, 3 * MOST_EVENTS, 50):
        recorder.add([event(start + number) for number in range(50)])
        recorder.flush(PATIENCE)
    kept = read_history(store, RUN)
    assert [each.number for each in kept] == list(range(2 * MOST_EVENTS, 3 * MOST_EVENTS))
    recorder.add([event(number, "x" * 1000) for number in range(100)])
    recorder.flush(PATIENCE)
    assert len(store.get(history_key(RUN))) <= MOST_BYTES
    assert read_history(store, RUN)[-1].number == 99


def test_what_two_coordinators_write_is_kept() -> None:
    store = MemoryStore(MemoryServer())
    one, other = Recorder(store, RUN), Recorder(store, RUN)
    for number in range(6):
        recorder = (one, other)[number % 2]
        recorder.add([event(number)])
        recorder.flush(PATIENCE)
    assert [each.number for each in read_history(store, RUN)] == list(range(6))


def test_after_a_loss_or_damage_it_begins_anew() -> None:
    store = MemoryStore(MemoryServer())
    recorder = Recorder(store, RUN)
    for number in range(2):
        store.delete_key(history_key(RUN))
        recorder.add([event(number)])
        recorder.flush(PATIENCE)
    assert [each.number for each in read_history(store, RUN)] == [1]
    store.set(history_key(RUN), b"\xff{")
    assert read_history(store, RUN) == ()
    recorder.add([event(2)])
    recorder.flush(PATIENCE)
    assert [each.number for each in read_history(store, RUN)] == [2]
