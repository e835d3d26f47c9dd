"""Conditional writes that know whether they were carried out, also where the reply to one was lost.

What happened to a key next after it was seen is decisive: the condition held for that, and for nothing
later. etcd remembers the last thousand events, so even a write that others have replaced meanwhile is found.
"""

import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import etcd

from rendezvous_core import RendezvousConnectionError
from rendezvous_etcd.errors import UncertainError
from rendezvous_etcd.v2.client import EtcdCalls, index_of

CONFLICTS = (etcd.EtcdAlreadyExist, etcd.EtcdCompareFailed, etcd.EtcdKeyNotFound)
"""What python-etcd raises where the condition of a write does not hold."""

_FIELDS = {"prevIndex": "modifiedIndex", "prevValue": "value"}
_ATTEMPTS = 3
_NEVER = 2**63 - 1
_GRACE = 0.25
"""Seconds for which what is on its way may still arrive."""


def look(calls: EtcdCalls, key: str) -> tuple[Any, int]:
    """Return the node of a key, or ``None``, and the index at which that was so."""
    try:
        found = calls.read(key)
    except etcd.EtcdKeyNotFound as error:
        return None, index_of(error)
    return found, found.etcd_index


def unchanged(node: Any) -> dict[str, Any]:
    """The condition that a key is still as it was when it was read: ``node``, or not there."""
    return {"prevExist": False} if node is None else {"prevIndex": node.modifiedIndex}


def swap(
    calls: EtcdCalls,
    key: str,
    value: str,
    condition: Mapping[str, Any],
    seen: int | None,
    ttl: int | None = None,
) -> Any | None:
    """Write once, if ``condition`` holds; return the node as written, or ``None`` if it did not hold.

    Args:
        value: tells this write from others.
        condition: python-etcd's options ``prevIndex``, ``prevValue``, which no other write had, or
            ``prevExist=False``.
        seen: an index at which the condition held, if it is known.

    Raises:
        UncertainError: it may have been carried out, or may still be.
    """
    is_new = "prevExist" in condition
    doubt: UncertainError | None = None
    for _ in range(_ATTEMPTS):
        try:
            return calls.write(key, value, ttl=ttl, **condition)
        except CONFLICTS:
            if doubt is None:
                return None
        except UncertainError as error:
            doubt = error
        try:
            node, _ = look(calls, key)
            if not is_new and _meets(node, condition):
                continue  # whichever attempt comes first, the other one will not meet the condition
            if node is not None and node.value == value:
                return node
            event = _next_event(calls, key, seen)
        except RendezvousConnectionError as error:
            raise doubt from error
        if event is not None and event.value == value:
            return event
        if is_new or event is None:
            raise doubt  # one that is still on its way finds no key when somebody deletes it
        return None
    assert doubt is not None
    raise doubt


def check_may_write(calls: EtcdCalls, key: str) -> None:
    """Ask for a write that cannot happen, so that the server says if it would not allow one."""
    with suppress(*CONFLICTS):
        calls.write(key, "", safe=True, prevIndex=_NEVER)


def delete(calls: EtcdCalls, key: str) -> bool:
    """Delete a key once, as it stands; return whether it was there.

    Raises:
        UncertainError: it may have been carried out, or may still be.
    """
    attempt = 0
    while node := look(calls, key)[0]:
        if _delete(calls, key, node):
            return True
        attempt += 1
        back_off(calls, attempt)
    return False


def back_off(calls: EtcdCalls, attempt: int) -> None:
    """Rest after the ``attempt``-th write that others were ahead of."""
    calls.rest(random.uniform(0, min(0.001 * 2 ** min(attempt, 10), 0.1)))


def _delete(calls: EtcdCalls, key: str, node: Any) -> bool:
    doubt: UncertainError | None = None
    for _ in range(_ATTEMPTS):
        try:
            calls.delete(key, prevIndex=node.modifiedIndex)
        except CONFLICTS:
            if doubt is None:
                return False
        except UncertainError as error:
            doubt = error
        else:
            return True
        try:
            standing, _ = look(calls, key)
            if _meets(standing, unchanged(node)):
                continue
            event = _next_event(calls, key, node.modifiedIndex)
        except RendezvousConnectionError as error:
            raise doubt from error
        if event is None or event.action == "compareAndDelete":
            raise doubt  # others delete in the same way
        return False
    assert doubt is not None
    raise doubt


def _meets(node: Any, condition: Mapping[str, Any]) -> bool:
    return node is not None and all(
        getattr(node, _FIELDS[name]) == expected for name, expected in condition.items()
    )


def _next_event(calls: EtcdCalls, key: str, seen: int | None) -> Any | None:
    """What happened to a key first after ``seen``; ``None`` if that cannot be told."""
    if seen is None:
        return None
    try:
        return calls.watch(key, seen, _GRACE)
    except (etcd.EtcdWatchTimedOut, etcd.EtcdEventIndexCleared):
        return None
