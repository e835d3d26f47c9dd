"""The legacy protocol as torch's class of this name offers it: rounds, their stores, their extra data."""

import json
import time
import weakref
from contextlib import suppress
from typing import Any

import etcd

from rendezvous_core import RendezvousConnectionError, RendezvousTimeoutError
from rendezvous_etcd.errors import UncertainError
from rendezvous_etcd.legacy.joining import Joining, Terms
from rendezvous_etcd.legacy.layout import CLOSED_TTL, Layout
from rendezvous_etcd.legacy.membership import Membership
from rendezvous_etcd.legacy.state import ActiveState
from rendezvous_etcd.legacy.state_key import BeginAnew, StateKey
from rendezvous_etcd.v2.client import EtcdCalls
from rendezvous_etcd.v2.store import EtcdStore
from rendezvous_etcd.v2.swap import back_off, check_may_write, look, swap, unchanged

_SLICE = 5.0
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 1.0


class EtcdRendezvous:
    """Speaks the legacy protocol of torch's class of this name, in one group with it.

    Args:
        client: a python-etcd client, or `EtcdCalls`.
        prefix: the path under which runs are kept.
        run_id: the run.
        num_min_workers: the least number of nodes of a round.
        num_max_workers: the greatest number of nodes of a round.
        timeout: seconds within which a round must come about.
        last_call_timeout: seconds for which late nodes are waited for once there are enough.

    Raises:
        ValueError: an argument is impossible.
    """

    def __init__(
        self,
        client: etcd.Client | EtcdCalls,
        prefix: str,
        run_id: str,
        num_min_workers: int,
        num_max_workers: int,
        timeout: float,
        last_call_timeout: float,
    ) -> None:
        if not run_id:
            raise ValueError("The run id must be a non-empty string.")
        if not 1 <= num_min_workers <= num_max_workers:
            raise ValueError(
                f"num_min_workers ({num_min_workers}) must be from 1 to num_max_workers ({num_max_workers})."
            )
        for name, value in (("timeout", timeout), ("last_call_timeout", last_call_timeout)):
            if value <= 0:
                raise ValueError(f"The {name} ({value}) must be positive.")
        self._calls = client if isinstance(client, EtcdCalls) else EtcdCalls.of(client)
        self._layout = Layout(prefix, run_id)
        self._key = StateKey(self._calls, self._layout.state)
        self._terms = Terms(run_id, num_min_workers, num_max_workers, timeout, last_call_timeout)
        self._membership: Membership | None = None

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._terms.run_id

    @property
    def membership(self) -> Membership | None:
        """This node's part in the present round."""
        return self._membership

    @property
    def hosts(self) -> list[str]:
        """Where the members of etcd are."""
        return self._calls.hosts

    def connect(self) -> None:
        """Look whether the cluster can be reached, and used; need not be called."""
        self.get_rdzv_state()
        check_may_write(self._calls, self._layout.state)

    def rendezvous_barrier(self) -> tuple[str, int, int]:
        """Block until this node is part of a round; return version, rank and size of the world.

        Raises:
            RendezvousClosedError: the run is closed.
            RendezvousTimeoutError: no round came about in time.
            RendezvousConnectionError: etcd could not be reached in time.
            RendezvousStateError: what etcd holds is of something else, or the others' settings differ.
        """
        joining = Joining(self._calls, self._layout, self._terms)
        self.leave()
        pause = _FIRST_PAUSE
        while True:
            try:
                membership, rank, world_size = joining.try_once()
            except BeginAnew:
                joining.check_time()
            except RendezvousConnectionError:
                if time.monotonic() + pause > joining.deadline:
                    raise
                self._calls.rest(pause)
                pause = min(2 * pause, _LAST_PAUSE)
            else:
                self._membership = membership
                weakref.finalize(self, membership.end)
                return membership.version, rank, world_size

    def leave(self) -> None:
        """Let the rank of this node expire, as that of a node that died."""
        if self._membership is not None:
            self._membership.end()
            self._membership = None

    def get_rdzv_state(self) -> ActiveState | None:
        """Read the state; ``None`` where there is none."""
        return self._key.find()

    def set_closed(self) -> None:
        """Close the run for all nodes, finally.

        Raises:
            RendezvousConnectionError: etcd cannot be reached.
        """
        while True:
            state = self.get_rdzv_state()
            if state is not None and state.status == "closed":
                return
            data = {**(state.data if state else {}), "status": "closed"}
            with suppress(UncertainError):  # the next look tells
                if self._key.write(state, data, CLOSED_TTL):
                    return

    def setup_kv_store(self, rdzv_version: str) -> EtcdStore:
        """The store of a round."""
        return EtcdStore(self._calls, self._layout.store(rdzv_version))

    def store_extra_data(self, rdzv_version: str, key: str, value: Any) -> None:
        """Tell the nodes of a round something, as JSON."""
        node = self._layout.extra_data(rdzv_version)
        for attempt in range(1_000_000):
            found, index = look(self._calls, node)
            data = json.loads(found.value) if found else {}
            if swap(self._calls, node, json.dumps({**data, key: value}), unchanged(found), index):
                return
            back_off(self._calls, attempt)

    def load_extra_data(self, rdzv_version: str, key: str, timeout: float | None = None) -> Any:
        """Block until a node of the round has told ``key``, at most ``timeout`` seconds (`EtcdRendezvous`'s).

        Raises:
            RendezvousTimeoutError: nobody did.
        """
        limit = self._terms.timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        node = self._layout.extra_data(rdzv_version)
        while True:
            found, index = look(self._calls, node)
            data = json.loads(found.value) if found else {}
            if key in data:
                return data[key]
            left = deadline - time.monotonic()
            if left <= 0:
                raise RendezvousTimeoutError(f"Timed out after {limit:g} s waiting for extra data {key!r}.")
            with suppress(etcd.EtcdWatchTimedOut, etcd.EtcdEventIndexCleared):
                self._calls.watch(node, index, min(left, _SLICE))

    def close(self) -> None:
        """Let the rank expire, and close the connections."""
        self.leave()
        self._calls.close()
