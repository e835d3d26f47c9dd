"""How the operations of a node become calls of its backend."""

import logging
import time
from typing import Any

import pytest
from msgspec.structs import replace

from rendezvous_core import RendezvousConnectionError, RendezvousStateError
from rendezvous_core.dynamic import performing
from rendezvous_core.dynamic.ledgers import Ledgers
from rendezvous_core.dynamic.performing import Performer
from rendezvous_core.protocol.operations import Drop, Fetch, File, List, Put, Read, Remove, Wait, Write
from rendezvous_core.records.codec import decode_member, encode_member
from rendezvous_core.records.ledger import Entry, Page, whole
from rendezvous_core.records.state import Apart
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from tests.core.handler.groups import Faulty
from tests.core.handler.lone import ME, OTHER, member, state

PAGES: list[Page] = [{"a": Entry(rank=0, ticket=1)}, {"b": Entry(rank=1, ticket=1)}]


class Bench:
    """A performer, with what it works on."""

    def __init__(self, heartbeat_timeout: float = 60.0) -> None:
        server = MemoryServer()
        self.store = MemoryStore(server, "store")
        self.backend = Faulty(MemoryBackend(server, "run"))
        self.ledgers = Ledgers(self.store, "run")
        self.performer = Performer(self.backend, self.ledgers, heartbeat_timeout)
        self.perform = self.performer.perform


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_state_is_read_and_written_with_the_time_of_day(bench: Bench) -> None:
    assert bench.perform(Read()) is None
    before = time.time()
    standing, token, written = bench.perform(Write(state(serial=1), None))
    assert written
    assert before <= standing.began == standing.at <= time.time()
    assert bench.perform(Read()) == (standing, token)
    later, later_token, written = bench.perform(Write(replace(standing, serial=2), token))
    assert written
    assert (later.serial, later.began) == (2, standing.began)
    assert later.at >= standing.at
    assert bench.perform(Write(state(serial=3), token)) == (later, later_token, False)


def test_a_write_to_a_state_that_is_lost_has_no_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.backend, "set_state", lambda *_: None)
    assert bench.perform(Write(state(), None)) is None


def test_records_are_put_with_the_time_of_day_listed_and_removed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: list[tuple[str, bool]] = []
    put = bench.backend.put_member

    def note(node: str, record: bytes, *, announce: bool) -> None:
        announced.append((node, announce))
        put(node, record, announce=announce)

    monkeypatch.setattr(bench.backend, "put_member", note)
    before = time.time()
    assert bench.perform(Put(member(), True)) is None
    assert bench.perform(Put(member(OTHER), False)) is None
    assert announced == [(ME, True), (OTHER, False)]
    listed, token = bench.perform(List())
    assert listed.keys() == {ME, OTHER}
    assert all(before <= each.at <= time.time() for each in listed.values())
    assert replace(listed[ME], at=0.0) == member()
    assert token == bench.backend.members().token
    assert bench.perform(Remove(OTHER)) is None
    assert bench.perform(List())[0].keys() == {ME}


def test_a_record_that_has_not_changed_is_read_once(bench: Bench) -> None:
    bench.perform(Put(member(), True))
    bench.perform(Put(member(OTHER), True))
    first, _ = bench.perform(List())
    bench.perform(Put(member(beat=1), True))
    second, _ = bench.perform(List())
    assert second[OTHER] is first[OTHER]
    assert second[ME].beat == 1


def test_a_damaged_record_is_passed_over_and_told_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.backend.put_member("damaged", b"{", announce=True)
    bench.backend.put_member("misnamed", encode_member(member()), announce=True)
    bench.perform(Put(member(OTHER), True))
    for _ in range(2):
        assert bench.perform(List())[0].keys() == {OTHER}
    with pytest.raises(RendezvousStateError) as damage:
        decode_member(b"{")
    assert [each.getMessage() for each in caplog.records] == [
        f"Ignoring the record of node damaged: {damage.value}"
    ]


def test_ledgers_are_filed_fetched_and_dropped(bench: Bench) -> None:
    assert bench.perform(File("one", PAGES)) is None
    assert bench.perform(File("other", PAGES[:1])) is None
    assert sorted(bench.store.list_keys()) == [
        "rendezvous/run/ledger/one/0",
        "rendezvous/run/ledger/one/1",
        "rendezvous/run/ledger/other/0",
    ]
    assert bench.perform(Fetch("one", [1])) == PAGES[1:]
    assert bench.perform(Fetch("one", [0, 1])) == PAGES
    assert bench.perform(Fetch("one", [1, 2])) is None
    bench.store.set("rendezvous/run/ledger/other/0", b"damage")
    assert bench.perform(Fetch("other", [0])) is None
    assert bench.perform(Drop("one", 2)) is None
    assert bench.store.list_keys() == ["rendezvous/run/ledger/other/0"]


def test_a_state_is_completed_with_its_ledger(bench: Bench) -> None:
    head = state(phase="complete", round_id="round", apart=Apart("one", 2, 2, 2, 0))
    assert bench.ledgers.complete(head) is head, "it is lost"
    bench.ledgers.write("one", PAGES)
    complete = bench.ledgers.complete(head)
    assert complete == whole(head, PAGES)
    assert complete != head
    assert bench.ledgers.complete(complete) is complete
    assert bench.ledgers.complete(replace(head, apart=None)).apart is None
    larger = replace(head, apart=Apart("one", 2, 3, 2, 0))
    assert bench.ledgers.complete(larger) is larger, "it does not belong to it"


@pytest.mark.parametrize("changes", [True, False])
def test_a_wait_is_the_backends(bench: Bench, monkeypatch: pytest.MonkeyPatch, changes: bool) -> None:
    waits: list[Any] = []

    def wait(*arguments: Any) -> bool:
        waits.append(arguments)
        return changes

    monkeypatch.setattr(bench.backend, "wait_for_change", wait)
    assert bench.perform(Wait("state", "members", 2.5)) is changes
    assert waits == [("state", 2.5, "members")]


def test_what_a_backend_raises_is_named(bench: Bench) -> None:
    bench.backend.error = BrokenPipeError("gone")
    with pytest.raises(RendezvousConnectionError) as lost:
        bench.perform(Read())
    assert str(lost.value) == "The backend 'faulty' failed: BrokenPipeError: gone"
    assert lost.value.__cause__ is bench.backend.error
    bench.backend.error = KeyError("internal")
    with pytest.raises(RendezvousStateError) as broken:
        bench.perform(Read())
    assert str(broken.value) == (
        "The backend 'faulty' raised KeyError: 'internal'. "
        "A backend may raise only rendezvous errors; please report this to its author."
    )
    assert broken.value.__cause__ is bench.backend.error
    bench.backend.error = RendezvousStateError("foreign")
    with pytest.raises(RendezvousStateError) as caught:
        bench.perform(Read())
    assert caught.value is bench.backend.error


def test_a_backend_that_cannot_be_closed_is_let_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[None] = []
    monkeypatch.setattr(bench.backend, "close", lambda: closed.append(None))
    bench.performer.close()
    assert (closed, caplog.records) == ([None], [])

    def fail() -> None:
        raise KeyError("internal")

    monkeypatch.setattr(bench.backend, "close", fail)
    bench.performer.close()
    (record,) = caplog.records
    assert record.getMessage() == "The backend 'faulty' could not be closed."
    assert record.exc_info


def test_a_heartbeat_that_takes_too_long_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Clock:
        now = 10.0
        time = time.time

        def monotonic(self) -> float:
            self.now += 2.5
            return self.now

    monkeypatch.setattr(performing, "time", Clock())
    caplog.set_level(logging.WARNING, "rendezvous_core")
    Bench(2.5).perform(Put(member(), True))
    assert not caplog.records
    Bench(2.4).perform(Put(member(), True))
    assert [each.getMessage() for each in caplog.records] == [f"A heartbeat of node {ME} took 2.5 s."]
