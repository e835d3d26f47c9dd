"""What clients do to a register and to a store, at random, until a given moment."""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.ports.store import QueueEmptyError, Store
from rendezvous_core.testing.linearizability.history import UNKNOWN
from rendezvous_core.testing.linearizability.journal import Journal
from rendezvous_core.testing.linearizability.queues import EMPTY

QUEUE = "queue"
TURN = 0.15
"""After how many seconds all clients of a store go on to new keys, which keeps each history short."""

_PAUSE = 0.004
_GLANCE = 0.3


def use_register(backend: RendezvousBackend, journal: Journal, start: float, end: float) -> None:
    """Read, and write with tokens new and old; ``start`` and ``end`` are of `time.monotonic`."""
    choose = random.Random(f"{journal.client} {start}")
    seen: list[tuple[bytes, Any] | None] = [None]  # states with their tokens
    number = 0
    time.sleep(max(0.0, start - time.monotonic()))
    while time.monotonic() < end:
        number += 1
        time.sleep(choose.uniform(0, _PAUSE))
        found: list[Any] = []
        if choose.random() < 0.4:
            journal.call("", "get_state", (), partial(_read, backend, found))
        else:
            known = seen[-1] if choose.random() < 0.85 else choose.choice(seen)
            new = f"{journal.client}.{number}".encode()
            given = (new, known and known[0])
            journal.call("", "set_state", given, partial(_write, backend, new, known and known[1], found))
        if found:
            seen = [*seen[-3:], found[0]]


def _read(backend: RendezvousBackend, found: list[Any]) -> bytes | None:
    state = backend.get_state()
    found.append(state)
    return state and state[0]


def _write(backend: RendezvousBackend, new: bytes, token: Any, found: list[Any]) -> tuple[bytes, bool] | None:
    standing = backend.set_state(new, token)
    found.append(standing and standing[:2])
    return standing and (standing[0], standing[2])


def use_store(store: Store, journal: Journal, start: float, end: float) -> None:
    """Use a number, a text and a queue; ``start`` and ``end`` are of `time.monotonic`."""
    store.set_timeout(_GLANCE)
    choose = random.Random(f"{journal.client} {start}")
    seen: dict[str, bytes | None] = {}
    number = 0
    time.sleep(max(0.0, start - time.monotonic()))
    while (now := time.monotonic()) < end:
        number += 1
        time.sleep(choose.uniform(0, _PAUSE))
        turn = int((now - start) / TURN)
        kind = choose.choices(("number", "text", QUEUE), (4, 4, 2))[0]
        item = f"{journal.client}.{number};".encode()
        if kind == QUEUE:
            if choose.random() < 0.55:
                journal.call(QUEUE, "queue_push", (item,), partial(store.queue_push, QUEUE, item))
            else:
                journal.call(QUEUE, "queue_pop", (), partial(pop, store))
            continue
        key = f"{kind}-{turn}"
        if kind == "number":
            item = b"%d" % choose.randrange(1, 10**6)
        method, given, call = _choose_call(choose, store, key, kind, item, seen.get(key))
        result = journal.call(key, method, given, call)
        if result is not UNKNOWN and method in ("get", "peek_all", "compare_set"):
            seen[key] = result
        elif result is not UNKNOWN and method == "set":
            seen[key] = item


def pop(store: Store) -> bytes | None:
    """Take an item of the queue, or `EMPTY`."""
    try:
        return store.queue_pop(QUEUE, block=False)
    except QueueEmptyError:
        return EMPTY


def _choose_call(
    choose: random.Random, store: Store, key: str, kind: str, item: bytes, seen: bytes | None
) -> tuple[str, tuple[Any, ...], Callable[[], Any]]:
    """A method of a store, its arguments but for the key, and the call."""
    match choose.choices(("look", "change", "set", "compare", "delete"), (35, 30, 10, 18, 7))[0]:
        case "look" if seen is not None and choose.random() < 0.5:
            return "get", (), partial(store.get, key)
        case "look" if choose.random() < 0.3:
            return "check", (), partial(store.check, [key])
        case "look":
            return "peek_all", (), lambda: store.peek_all([key])[0]
        case "change" if kind == "number":
            return "add", (int(item),), partial(store.add, key, int(item))
        case "change":
            return "append", (item,), partial(store.append, key, item)
        case "set":
            return "set", (item,), partial(store.set, key, item)
        case "compare":
            expected = seen or b""
            return "compare_set", (expected, item), partial(store.compare_set, key, expected, item)
    return "delete_key", (), partial(store.delete_key, key)
