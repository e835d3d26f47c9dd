"""The key under which the state stands: read, replaced by compare-and-swap, watched."""

import json
import secrets
from contextlib import suppress
from typing import Any

from rendezvous_etcd.legacy.state import ActiveState, parse_state
from rendezvous_etcd.v2.client import EtcdCalls
from rendezvous_etcd.v2.swap import CONFLICTS, look, swap


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
        found, _ = look(self._calls, self._path)
        return found and parse_state(found.value, found.etcd_index, found.modifiedIndex)

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
            UncertainError: a reply was lost, and it cannot be told whether this was written.
        """
        value = json.dumps({**data, "nonce": secrets.token_hex(8)})
        condition, seen = ({"prevExist": False}, None) if former is None else _unchanged(former)
        written = swap(self._calls, self._path, value, condition, seen, ttl)
        return written and parse_state(value, written.modifiedIndex, written.modifiedIndex)

    def delete(self, state: ActiveState) -> None:
        """End the round, unless somebody has changed its state."""
        with suppress(*CONFLICTS):
            self._calls.delete(self._path, safe=True, **_unchanged(state)[0])


def _unchanged(state: ActiveState) -> tuple[dict[str, Any], int]:
    # Alone the value might come again, as torch writes it, and the index from a server without its data.
    return {"prevIndex": state.modified, "prevValue": state.value}, state.modified
