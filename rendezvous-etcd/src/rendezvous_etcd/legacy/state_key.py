"""The key under which the state stands: read, replaced by compare-and-swap, watched."""

import json
import random
import secrets
from contextlib import suppress
from typing import Any

import etcd

from rendezvous_etcd.legacy.state import ActiveState, parse_state
from rendezvous_etcd.v2.backend import CONFLICTS
from rendezvous_etcd.v2.client import EtcdCalls, UncertainError


class BeginAnew(Exception):
    """The state is not what it was."""


class StateKey:
    """The state of one run."""

    def __init__(self, calls: EtcdCalls, path: str) -> None:
        self._calls = calls
        self._path = path

    def find(self) -> ActiveState | None:
        """The state; ``None`` where there is none.

        Raises:
            RendezvousStateError: it is no state of this protocol.
        """
        try:
            found = self._calls.read(self._path)
        except etcd.EtcdKeyNotFound:
            return None
        return parse_state(found.value, found.etcd_index)

    def read(self) -> ActiveState:
        """The state, which is there as long as nobody ends the round.

        Raises:
            BeginAnew: somebody did.
        """
        state = self.find()
        if state is None:
            raise BeginAnew
        return state

    def write(self, former: ActiveState | None, data: dict[str, Any], ttl: int | None) -> ActiveState | None:
        """Compare-and-swap; ``None`` if it was not ``former`` that stood.

        Raises:
            UncertainError: a reply was lost, and what stands now does not tell whether this was written.
        """
        nonce = secrets.token_hex(8)
        value = json.dumps({**data, "nonce": nonce})
        condition = {"prevExist": False} if former is None else {"prevValue": former.value}
        try:
            written = self._calls.write(self._path, value, ttl=ttl, **condition)
        except CONFLICTS:
            return None
        except UncertainError:
            standing = self.find()
            if standing is None or standing.data.get("nonce") != nonce:
                raise
            return standing
        return parse_state(value, written.etcd_index)

    def delete(self, state: ActiveState) -> None:
        """End the round, unless somebody has changed its state."""
        with suppress(*CONFLICTS):
            self._calls.delete(self._path, safe=True, prevValue=state.value)


def back_off(calls: EtcdCalls, attempt: int) -> None:
    """Rest after the ``attempt``-th write that others were ahead of."""
    calls.rest(random.uniform(0, min(0.002 * 2 ** min(attempt, 10), 0.1)))
