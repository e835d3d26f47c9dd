"""The state of the legacy protocol: a JSON object that every node rewrites by compare-and-swap.

``status`` goes from ``setup`` to ``joinable``, ``frozen`` and ``final``, or to ``closed`` from any.
``participants`` are the ranks in the order of their arrival, ``keep_alives`` the keys of those who
have confirmed, ``num_workers_waiting`` counts who came too late. Fields of others are passed on.
"""

import json
from typing import Any, NamedTuple

from rendezvous_core import RendezvousStateError


class ActiveState(NamedTuple):
    """What was read or written."""

    value: str
    """As it stands in etcd."""
    data: dict[str, Any]
    seen: int
    """The index of the cluster at which that was so."""
    modified: int
    """The index at which it was written."""

    @property
    def status(self) -> str:
        """Where in its life the round is."""
        return str(self.data["status"])

    @property
    def version(self) -> str:
        """The number of the round, as text; empty before it has one."""
        return str(self.data.get("version", ""))

    @property
    def participants(self) -> list[int]:
        """The ranks that are taken."""
        return list(self.data.get("participants", []))

    @property
    def keep_alives(self) -> list[str]:
        """The keys that the participants keep alive."""
        return [f"/{key.lstrip('/')}" for key in self.data.get("keep_alives", [])]

    @property
    def waiting(self) -> int:
        """How many nodes wait for the next round."""
        return int(self.data.get("num_workers_waiting", 0))

    def is_at(self, version: str, *statuses: str) -> bool:
        """Whether it is that round, in one of ``statuses``."""
        return self.version == version and self.status in statuses


def parse_state(value: str, seen: int, modified: int) -> ActiveState:
    """Read what stands in etcd.

    Raises:
        RendezvousStateError: it is no state of this protocol.
    """
    try:
        state = ActiveState(value, json.loads(value), seen, modified)
        _ = state.status, state.participants, state.keep_alives, state.waiting
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RendezvousStateError(
            f"etcd holds no state of the legacy rendezvous, but {value!r:.80}: delete it, or choose another "
            "run id or etcd_prefix."
        ) from error
    return state
