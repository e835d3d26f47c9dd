"""What the participants of a round get, and what is forgotten of former ones."""

import math
import time
from types import SimpleNamespace
from typing import Any

import pytest

from rendezvous_core import RendezvousConnectionError, RendezvousStoreInfo
from rendezvous_core.dynamic import round_store
from rendezvous_core.dynamic.round_store import (
    forget_past_rounds,
    hand_out,
    rounds_key,
    store_prefix,
)
from rendezvous_core.protocol.node import Joined
from rendezvous_core.testing.memory import MemoryServer, MemoryStore
from tests.core.handler.groups import eventually


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(MemoryServer())


def never() -> bool:
    return False


def test_rank_0_publishes_and_the_others_look_it_up(store: MemoryStore) -> None:
    deadline = time.monotonic() + 60
    first = hand_out("run", store, Joined(0, "id", 0, 2), "10.0.0.1", never, deadline)
    assert (first.rank, first.world_size) == (0, 2)
    there = first.bootstrap_store_info
    assert there.master_addr == "10.0.0.1"
    assert store.get("rendezvous/run/rounds") == b"0/id"
    before = sorted(store.list_keys())
    second = hand_out("run", store, Joined(0, "id", 1, 2), "10.0.0.2", never, deadline)
    assert sorted(store.list_keys()) == before, "it has nothing to publish"
    assert (second.rank, second.world_size) == (1, 2)
    assert second.bootstrap_store_info == there
    first.store.set("key", b"value")
    assert second.store.get("key") == store.get("rendezvous/run/0/id/key") == b"value"


def test_where_things_are() -> None:
    assert store_prefix("run", Joined(3, "id", 0, 1)) == "rendezvous/run/3/id"
    assert rounds_key("run") == "rendezvous/run/rounds"


class Refusing(MemoryStore):
    """Cannot be reached for so many attempts to publish; counts them, and the pauses in between."""

    def __init__(self, refusals: float, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(MemoryServer())
        self.refusals, self.attempts, self.now = refusals, 0, 100.0
        self.pauses: list[float] = []
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)
        monkeypatch.setattr(round_store, "time", clock)
        monkeypatch.setattr(round_store, "shielded", self.shielded)
        monkeypatch.setattr(RendezvousStoreInfo, "build", self.build)
        self.deadlines: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def shielded(self, call: Any, deadline: float) -> Any:
        self.deadlines.append(deadline)
        return call()

    def build(self, *_: object) -> RendezvousStoreInfo:
        self.attempts += 1
        if self.attempts <= self.refusals:
            raise RendezvousConnectionError("away")
        return RendezvousStoreInfo("10.0.0.1", 1)


def test_rank_0_goes_on_trying_to_publish(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Refusing(9, monkeypatch)
    info = hand_out("run", store, Joined(0, "id", 0, 2), "10.0.0.1", never, 1000.0)
    assert info.bootstrap_store_info.master_addr == "10.0.0.1"
    assert store.attempts == 10
    assert store.pauses == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])
    assert set(store.deadlines) == {1000.0}


def test_rank_0_gives_up_where_the_next_attempt_would_be_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Refusing(math.inf, monkeypatch)
    with pytest.raises(RendezvousConnectionError, match="away"):
        hand_out("run", store, Joined(0, "id", 0, 2), "10.0.0.1", never, 100.02)
    assert (store.attempts, store.pauses) == (2, [0.01])


def test_rank_0_gives_up_where_its_part_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Refusing(math.inf, monkeypatch)
    with pytest.raises(RendezvousConnectionError, match="away"):
        hand_out("run", store, Joined(0, "id", 0, 2), "10.0.0.1", lambda: store.attempts > 2, 1000.0)
    assert store.attempts == 3


def fill(store: MemoryStore, *rounds: str) -> None:
    for each in rounds:
        store.set(f"rendezvous/run/{each}/key", b"value")


def filled(store: MemoryStore) -> list[str]:
    return sorted(key.removeprefix("rendezvous/run/") for key in store.list_keys())


def test_rounds_that_are_two_or_more_behind_are_forgotten(store: MemoryStore) -> None:
    fill(store, "1/a", "2/b", "2/c", "3/d")
    store.set(rounds_key("run"), b"1/a\n2/b\n2/c\n3/d")
    forget_past_rounds(store, "run", Joined(4, "e", 0, 1))
    assert store.get(rounds_key("run")) == b"3/d\n4/e"
    eventually(lambda: filled(store) == ["3/d/key", "rounds"], "the older ones are gone")


def test_a_run_that_begins_anew_has_no_past(store: MemoryStore) -> None:
    store.set(rounds_key("run"), b"7/old")
    forget_past_rounds(store, "run", Joined(0, "id", 0, 1))
    assert store.get(rounds_key("run")) == b"0/id"
    forget_past_rounds(store, "run", Joined(1, "next", 0, 1))
    assert store.get(rounds_key("run")) == b"0/id\n1/next"


def test_a_round_whose_listing_is_lost_is_listed(store: MemoryStore) -> None:
    forget_past_rounds(store, "run", Joined(5, "id", 0, 1))
    assert store.get(rounds_key("run")) == b"5/id"


def test_what_cannot_be_forgotten_does_not_keep_a_round_from_forming(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "rendezvous_core")

    def refuse(*_: object) -> None:
        raise RendezvousConnectionError("away")

    monkeypatch.setattr(store, "forget", refuse)
    store.set(rounds_key("run"), b"0/id")
    forget_past_rounds(store, "run", Joined(2, "id", 0, 1))
    message = "What past rounds of the run run stored is still there: away"
    eventually(lambda: [each.getMessage() for each in caplog.records] == [message], "it is told")
    assert store.get(rounds_key("run")) == b"2/id"
    monkeypatch.setattr(store, "set", refuse)
    caplog.clear()
    forget_past_rounds(store, "run", Joined(3, "id", 0, 1))
    assert [each.getMessage() for each in caplog.records] == [message]
