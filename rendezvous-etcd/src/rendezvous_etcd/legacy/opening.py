"""A new round, where there is none: whoever finds none opens one, with the next number."""

from contextlib import suppress

import etcd

from rendezvous_etcd.legacy.layout import SETUP_TTL, Layout
from rendezvous_etcd.legacy.state import ActiveState
from rendezvous_etcd.legacy.state_key import BeginAnew, StateKey
from rendezvous_etcd.v2.client import EtcdCalls
from rendezvous_etcd.v2.swap import CONFLICTS, back_off


def open_round(calls: EtcdCalls, layout: Layout, key: StateKey) -> ActiveState:
    """Open a round that nodes can join.

    Raises:
        BeginAnew: somebody else was first, or this node was too slow.
    """
    setup = key.write(None, {"status": "setup"}, SETUP_TTL)
    if setup is None:
        raise BeginAnew
    version = _next_version(calls, layout)
    with suppress(etcd.EtcdAlreadyExist):
        calls.write(layout.version(version), None, safe=True, dir=True, prevExist=False)
    with suppress(etcd.EtcdKeyNotFound):
        # Nobody can be in the round before the last any more.
        calls.delete(layout.version(str(int(version) - 2)), safe=True, recursive=True)
    state = key.write(setup, {"status": "joinable", "version": version, "participants": []}, None)
    if state is None:
        raise BeginAnew
    return state


def _next_version(calls: EtcdCalls, layout: Layout) -> str:
    with suppress(etcd.EtcdAlreadyExist):
        calls.write(layout.counter, "0", safe=True, prevExist=False)
    for attempt in range(1_000_000):
        found = calls.read(layout.counter)
        version = str(int(found.value) + 1)
        try:
            calls.write(layout.counter, version, prevIndex=found.modifiedIndex)
        except CONFLICTS:
            back_off(calls, attempt)
        else:
            return version
    raise AssertionError
