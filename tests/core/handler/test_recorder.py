"""How the history of a run is written, beside a node that does not wait for that."""

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rendezvous_core import RendezvousConnectionError, RendezvousError
from rendezvous_core.dynamic import history
from rendezvous_core.dynamic.history import (
    MOST_BYTES,
    MOST_EVENTS,
    Happening,
    Named,
    Recorder,
    history_key,
    history_store,
    name,
    read_history,
)
from rendezvous_core.ports.errors import RendezvousSecretError
from rendezvous_core.ports.store import ABSENT, Value
from rendezvous_core.sealing.backend import SealedBackend, seal_backend
from rendezvous_core.sealing.keys import Keyring, keyring_of
from rendezvous_core.sealing.store import SealedStore
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from tests.core.handler.groups import PATIENCE
from tests.core.handler.lone import ME, member


class Watched(MemoryStore):
    """Tells of each write, which may then fail."""

    def __init__(self) -> None:
        super().__init__(MemoryServer())
        self.writes = 0
        self.before: Callable[[], object] = lambda: None

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        if desired_value != ABSENT:  # else somebody looks
            self.writes += 1
            self.before()
        return super().compare_set(key, expected_value, desired_value)

    def fail(self) -> None:
        raise RendezvousConnectionError("away")


@pytest.fixture
def store() -> Watched:
    return Watched()


@pytest.fixture
def recorder(store: Watched) -> Recorder:
    return Recorder(store, "run")


def event(number: int, **fields: Any) -> Happening:
    return Happening(at=1.0, kind="called", round=0, number=number, **fields)


def numbers(store: Watched) -> list[int]:
    return [each.number for each in read_history(store, "run")]


def test_what_cannot_be_written_is_tried_again_after_a_pause(
    store: Watched, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "rendezvous_core")
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(history, "time", SimpleNamespace(monotonic=lambda: clock.now))
    store.before = store.fail
    recorder.add([event(1)])
    recorder.flush(PATIENCE)
    assert store.writes == 1, "a flush does not wait for the next attempt"
    assert [each.getMessage() for each in caplog.records] == [
        "The history of the run could not be written: away"
    ]
    store.before = lambda: None
    clock.now = 100.99
    recorder.add([event(2)])
    recorder.flush(PATIENCE)
    assert store.writes == 1
    clock.now = 101.0
    recorder.add(())
    recorder.flush(PATIENCE)
    assert numbers(store) == [1, 2]


def test_what_was_written_is_not_written_again_where_the_reply_was_lost(
    store: Watched, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_PAUSE", 0.0)
    lost = event(1, serial=1, nodes=(Named("one", rank=0),), took=0.1)

    def lose() -> None:
        store.before = lambda: None
        for each in (lost, event(3, serial=3)):
            other = Recorder(store, "run")
            other.add([each])
            other.flush(PATIENCE)
        store.fail()

    store.before = lose
    recorder.add([lost])
    recorder.add([event(2, serial=1)])
    recorder.flush(PATIENCE)
    assert numbers(store) == [1, 2, 3]


def test_the_last_events_of_an_outage_are_kept(
    store: Watched, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_PAUSE", 0.0)
    store.before = store.fail
    recorder.add(event(number) for number in range(MOST_EVENTS - 1))
    recorder.add([event(MOST_EVENTS - 1), event(MOST_EVENTS)])
    store.before = lambda: None
    recorder.flush(PATIENCE)
    assert numbers(store) == list(range(1, MOST_EVENTS + 1))


def test_events_that_come_during_a_write_are_written_next(store: Watched, recorder: Recorder) -> None:
    def add_another() -> None:
        store.before = lambda: None
        recorder.add([event(2)])

    store.before = add_another
    recorder.add([event(1)])
    recorder.flush(PATIENCE)
    assert numbers(store) == [1, 2]
    assert store.writes == 2
    recorder.add([])
    recorder.flush(PATIENCE)
    assert store.writes == 2, "there was nothing to write"


def test_what_a_former_coordinator_writes_late_comes_before_what_followed(store: Watched) -> None:
    former, present = Recorder(store, "run"), Recorder(store, "run")
    former.add([event(0, serial=1)])
    former.flush(PATIENCE)
    present.add([event(3, serial=7)])
    present.flush(PATIENCE)
    former.add([event(1, serial=5), event(2, serial=5)])
    former.flush(PATIENCE)
    present.add([event(4, serial=7)])
    present.flush(PATIENCE)
    assert numbers(store) == [0, 1, 2, 3, 4]


def test_a_run_that_begins_anew_is_put_down_after_the_former(store: Watched, recorder: Recorder) -> None:
    """The state was lost and its count with it, and the history was not."""
    recorder.add([event(1, serial=40), event(2, serial=41)])
    began = Happening(at=1.0, kind="began", round=0, number=3, serial=1)
    recorder.add([began, event(4, serial=2)])
    recorder.flush(PATIENCE)
    assert numbers(store) == [1, 2, 3, 4]


def test_that_a_run_began_comes_first_also_where_it_is_told_late(store: Watched) -> None:
    former, present = Recorder(store, "run"), Recorder(store, "run")
    present.add([event(3, serial=3), event(4, serial=4)])
    present.flush(PATIENCE)
    former.add([Happening(at=0.5, kind="began", round=0, number=1, serial=1), event(2, serial=2)])
    former.flush(PATIENCE)
    assert numbers(store) == [1, 2, 3, 4]


def test_there_is_one_writer_at_a_time(
    store: Watched, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Callable[[], None]] = []
    monkeypatch.setattr(history, "begin", begun.append)
    recorder.add([event(1)])
    recorder.add([event(2)])
    recorder.flush(0.01)
    (write,) = begun
    write()
    assert numbers(store) == [1, 2]
    recorder.add([event(3)])
    begun[1]()
    assert numbers(store) == [1, 2, 3]


def test_where_no_thread_starts_it_is_written_later(
    store: Watched, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise RendezvousError("no more threads")

    with monkeypatch.context() as patched:
        patched.setattr(history, "begin", refuse)
        recorder.add([event(1)])
    recorder.add([event(2)])
    recorder.flush(PATIENCE)
    assert numbers(store) == [1, 2]


def test_a_flush_waits_for_a_writer_only_for_a_while(
    store: Watched, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "begin", lambda _: None)
    recorder.add([event(1)])
    recorder.flush(0.0)
    recorder.flush(0.01)
    assert store.writes == 0


def test_of_many_nodes_the_first_are_named(store: Watched, recorder: Recorder) -> None:
    nodes = tuple(Named(str(number)) for number in range(9))
    recorder.add([event(9, nodes=nodes)])
    recorder.flush(PATIENCE)
    (kept,) = read_history(store, "run")
    assert (kept.nodes, kept.number) == (nodes[:8], 9)


def test_where_events_are_long_the_oldest_go_until_they_fit(store: Watched, recorder: Recorder) -> None:
    recorder.add(event(number, nodes=(Named("x" * 1000),)) for number in range(64))
    recorder.flush(PATIENCE)
    kept = numbers(store)
    assert kept == list(range(kept[0], 64))
    assert 0.8 * MOST_BYTES < len(store.get(history_key("run"))) <= MOST_BYTES


def test_what_just_fits_is_kept(store: Watched, recorder: Recorder) -> None:
    def add(length: int) -> int:
        store.delete_key(history_key("run"))
        recorder.add([event(1, nodes=(Named("x" * length),))])
        recorder.flush(PATIENCE)
        return len(store.get(history_key("run")))

    assert add(MOST_BYTES - add(0)) == MOST_BYTES
    assert numbers(store) == [1]


def test_a_few_long_events_go_one_by_one(store: Watched, recorder: Recorder) -> None:
    recorder.add(event(number, nodes=(Named("x" * (MOST_BYTES // 4)),)) for number in range(4))
    recorder.flush(PATIENCE)
    assert numbers(store) == [1, 2, 3]


NO_TEXT = b'{"v":1,"events":[{"at":1.0,"kind":"called","round":0,"former":"\xff"}]}'
TOO_DEEP = b'{"v":1,"x":' + b"[" * 9000


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", NO_TEXT, TOO_DEEP, b'{"v":2,"events":[]}', b'{"v":1,"events":[{}]}']
)
def test_what_is_no_history_of_this_version_is_none(store: Watched, data: bytes) -> None:
    store.set("rendezvous/run/history", data)
    assert read_history(store, "run") == ()


def test_a_node_is_named_by_its_record_where_there_is_one() -> None:
    assert name(ME, member(), 2) == Named(ME, "host", "10.0.0.1", 7, 2)
    assert name(ME, None, 2) == Named(ME, rank=2)
    assert str(name(ME, member(), 2)) == "host (10.0.0.1) pid 7 rank 2 [01234567]"


def keyring(secret: str) -> Keyring:
    ring = keyring_of(secret, None)
    assert ring is not None
    return ring


def test_the_history_is_sealed_where_the_run_is(store: Watched, caplog: pytest.LogCaptureFixture) -> None:
    backend = MemoryBackend(MemoryServer(), "run")
    assert history_store(store, backend, "run") is store
    kept = []
    for secret in ("a secret of sixteen letters", "another secret of letters"):
        sealed = seal_backend(backend, keyring(secret), "run")
        assert isinstance(sealed, SealedBackend)
        kept.append(history_store(store, sealed, "run"))
    one, other = kept
    assert isinstance(one, SealedStore)
    recorder = Recorder(one, "run")
    recorder.add([event(1)])
    recorder.flush(PATIENCE)
    assert [each.number for each in read_history(one, "run")] == [1]
    assert b"called" not in store.get(history_key("run"))
    with pytest.raises(RendezvousSecretError) as refused:
        other.get(history_key("run"))
    caplog.clear()
    assert read_history(other, "run") == ()
    assert [each.getMessage() for each in caplog.records] == [
        f"The history of the run 'run' cannot be read: {refused.value}"
    ]
