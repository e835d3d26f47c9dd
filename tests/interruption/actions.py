"""Every public method of a handler and of the store that it hands out, as calls that can be interrupted."""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from rendezvous_core import QueueEmptyError, RendezvousConnectionError, RendezvousTimeoutError, Store
from rendezvous_core.dynamic.handler import DynamicRendezvousHandler

MOMENT = 0.02


class Subject(NamedTuple):
    """What a call is made on."""

    handler: DynamicRendezvousHandler
    store: Store | None
    key: str
    """Used by nobody before."""


class Action(NamedTuple):
    """A call, and what has to be so before it."""

    name: str
    call: Callable[[Subject], object]
    joins: bool = True
    """Whether the node is in a round when the call is made."""
    asks: bool = False
    closes: bool = False
    nodes: int = 1
    """How many nodes a round of this run has."""
    prepare: Callable[[Store, str], object] = lambda store, key: None


def _handler(
    name: str,
    call: Callable[[DynamicRendezvousHandler], object],
    *,
    joins: bool = True,
    asks: bool = False,
    closes: bool = False,
    nodes: int = 1,
) -> Action:
    return Action(name, lambda subject: call(subject.handler), joins, asks, closes, nodes)


def _store(
    name: str,
    call: Callable[[Store, str], object],
    prepare: Callable[[Store, str], object] = lambda store, key: None,
) -> Action:
    def make(subject: Subject) -> object:
        assert subject.store is not None
        return call(subject.store, subject.key)

    return Action(f"store.{name}", make, prepare=prepare)


def _in_vain(call: Callable[[], object]) -> None:
    with suppress(RendezvousTimeoutError, QueueEmptyError):
        call()


def _change_timeout(store: Store) -> None:
    store.set_timeout(store.timeout)


def _ask_in_vain(handler: DynamicRendezvousHandler) -> None:
    with suppress(RendezvousTimeoutError, RendezvousConnectionError):  # a busy server answers nothing so soon
        handler.next_rendezvous()


HANDLER = (
    _handler("next_rendezvous", lambda handler: handler.next_rendezvous(), joins=False, asks=True),
    _handler("next_rendezvous again", lambda handler: handler.next_rendezvous(), asks=True),
    _handler("next_rendezvous in vain", _ask_in_vain, joins=False, asks=True, nodes=2),
    _handler("leave", lambda handler: handler.leave()),
    _handler("leave done", lambda handler: handler.leave(done=True), closes=True),
    _handler("leave before asking", lambda handler: handler.leave(), joins=False),
    _handler("shutdown", lambda handler: handler.shutdown(), closes=True),
    _handler("shutdown before asking", lambda handler: handler.shutdown(), joins=False, closes=True),
    _handler("set_closed", lambda handler: handler.set_closed(), closes=True),
    _handler("is_closed", lambda handler: handler.is_closed()),
    _handler("is_closed before asking", lambda handler: handler.is_closed(), joins=False),
    _handler("num_nodes_waiting", lambda handler: handler.num_nodes_waiting()),
    _handler("joined", lambda handler: handler.joined),
    _handler("wait_for_membership_change", lambda handler: handler.wait_for_membership_change(MOMENT)),
    _handler(
        "what it is",
        lambda handler: (
            *(handler.get_run_id(), handler.get_backend(), handler.use_agent_store),
            *(handler.settings, handler.node_id),
        ),
    ),
)


def _push(store: Store, key: str) -> None:
    store.queue_push(key, "item")


def _write(store: Store, key: str) -> None:
    store.set(key, "1")


STORE = (
    _store("set", lambda store, key: store.set(key, "value")),
    _store("get", lambda store, key: store.get(key), _write),
    _store("add", lambda store, key: store.add(key, 1)),
    _store("append", lambda store, key: store.append(key, "value")),
    _store("compare_set", lambda store, key: store.compare_set(key, "", "value")),
    _store("check", lambda store, key: store.check([key])),
    _store("wait", lambda store, key: store.wait([key]), _write),
    _store("wait in vain", lambda store, key: _in_vain(lambda: store.wait([key], MOMENT))),
    _store("delete_key", lambda store, key: store.delete_key(key), _write),
    _store("num_keys", lambda store, key: store.num_keys()),
    _store("list_keys", lambda store, key: store.list_keys()),
    _store("multi_get", lambda store, key: store.multi_get([key]), _write),
    _store("multi_set", lambda store, key: store.multi_set([key, f"{key}+"], ["1", "2"])),
    _store("peek_all", lambda store, key: store.peek_all([key])),
    _store("write_all", lambda store, key: store.write_all([("set", key, "1"), ("append", key, "2")])),
    _store("queue_push", _push),
    _store("queue_pop", lambda store, key: _in_vain(lambda: store.queue_pop(key, False)), _push),
    _store("queue_pop in vain", lambda store, key: _in_vain(lambda: store.queue_pop(key, True, MOMENT))),
    _store("queue_len", lambda store, key: store.queue_len(key)),
    _store("barrier", lambda store, key: store.barrier(key, 1)),
    _store("view", lambda store, key: store.view(key)),
    _store("clone", lambda store, key: store.clone()),
    _store("has_extended_api", lambda store, key: store.has_extended_api()),
    _store("set_timeout", lambda store, key: _change_timeout(store)),
)
