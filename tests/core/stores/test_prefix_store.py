"""What is particular to a view under a prefix."""

from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar

import pytest

from rendezvous_core import PrefixStore, QueueEmptyError, RendezvousTimeoutError, Store
from rendezvous_core.testing import StoreSuite
from rendezvous_core.testing.memory import MemoryServer, MemoryStore
from rendezvous_core.testing.suites.threads import start
from tests.core.stores.parts import PATIENCE, PlainStore


class TestContract(StoreSuite):
    lacks: ClassVar = {
        "server": "its server is an object of this process",
        "process_factory": "its server is an object of this process",
        "link": "there is no connection that could break",
    }

    @pytest.fixture
    def store_factory(self) -> Callable[[str], Store]:
        server = MemoryServer()
        return lambda run_id: PrefixStore("in", PrefixStore(run_id, MemoryStore(server)))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(MemoryServer())


@pytest.mark.parametrize(
    ("prefix", "key", "full"),
    [("p", "k", "p/k"), ("p", "", "p/"), ("", "k", "/k"), ("p/q", "/k/", "p/q//k/"), ("ü", "ключ", "ü/ключ")],
)
def test_keys_lie_under_the_prefix(store: Store, prefix: str, key: str, full: str) -> None:
    view = PrefixStore(prefix, store)
    view.set(key, b"1")
    assert store.list_keys() == [full]
    assert view.list_keys() == [key]
    assert view.get(key) == b"1"


def test_views_nest_as_in_torch(store: Store) -> None:
    PrefixStore("inner", PrefixStore("outer", store)).set("key", b"1")
    assert store.list_keys() == ["outer/inner/key"]


def test_a_view_lists_its_own_keys_only(store: Store) -> None:
    view = PrefixStore("p", store)
    store.multi_set(["p", "pp/a", "p/a", "p/b/c", "q"], [b"1"] * 5)
    assert sorted(view.list_keys()) == ["a", "b/c"]
    assert view.num_keys() == 2


def test_the_timeout_starts_as_that_of_the_store(store: Store) -> None:
    store.set_timeout(7)
    assert PrefixStore("p", store).timeout == timedelta(seconds=7)


def test_the_timeout_of_a_view_is_its_own(store: Store) -> None:
    view, other = PrefixStore("p", store), PrefixStore("p", store)
    view.set_timeout(1)
    assert store.timeout == other.timeout == timedelta(seconds=300)
    store.set_timeout(2)
    assert (view.timeout, other.timeout) == (timedelta(seconds=1), timedelta(seconds=300))
    assert view.clone().timeout == timedelta(seconds=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda view: view.get("key"),
        lambda view: view.multi_get(["key"]),
        lambda view: view.wait(["key"]),
        lambda view: view.queue_pop("key"),
        lambda view: view.barrier("key", 2),
    ],
    ids=["get", "multi_get", "wait", "queue_pop", "barrier"],
)
def test_every_blocking_call_obeys_the_timeout_of_the_view(
    store: Store, call: Callable[[Store], object]
) -> None:
    outer = PrefixStore("outer", store)
    view = PrefixStore("p", outer)
    view.set_timeout(0.05)
    error = start(call, view).exception(PATIENCE)
    assert isinstance(error, RendezvousTimeoutError)
    assert "Timed out after 0.05 s" in str(error)
    assert "'key'" in str(error)


def test_get_under_a_timeout_of_its_own_survives_a_key_that_vanishes() -> None:
    server = MemoryServer()
    store, other = PlainStore(server), MemoryStore(server)
    view = PrefixStore("p", store)
    view.set_timeout(PATIENCE / 2)
    other.set("p/key", b"1")
    store.before("compare_set", "p/key", lambda: other.delete_key("p/key"))
    store.before("wait", "p/key", lambda: store.before("wait", "p/key", lambda: other.set("p/key", b"2")))
    assert view.get("key") == b"2"


@pytest.mark.parametrize("prefix", ["rendezvous/job/0/5cee53", "it's", 'say "a"', "a\\b", "äöü", "o"])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda view: view.wait(["o/b", "here"], 0), "waiting for keys: 'o/b'; present: 'here'."),
        (lambda view: view.get("o/b"), "waiting for keys: 'o/b'."),
        (lambda view: view.multi_get(["o/b"]), "waiting for keys: 'o/b'."),
        (lambda view: view.queue_pop("q"), "waiting for an item in the queue 'q'."),
        (lambda view: view.queue_pop("q", block=False), "The queue 'q' is empty."),
        (lambda view: view.barrier("b", 2, 0), "at the barrier 'b': 1 of 2 have come."),
        (lambda view: view.add("here", 1), "The key 'here' holds no integer to add to, but b'1/o'."),
        (lambda view: PrefixStore("mine", view).get("o/b"), "waiting for keys: 'o/b'."),
    ],
)
def test_errors_name_the_key_that_was_given(
    store: Store, prefix: str, call: Callable[[Store], object], message: str
) -> None:
    view = PrefixStore(prefix, store)
    view.set("here", b"1/o")
    view.set_timeout(0.01)
    with pytest.raises((RendezvousTimeoutError, QueueEmptyError, ValueError)) as caught:
        call(view)
    assert str(caught.value).replace('"', "'").endswith(message)  # a prefix may have asked for other quotes
