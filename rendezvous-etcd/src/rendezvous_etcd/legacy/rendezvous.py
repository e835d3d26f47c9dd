"""The steps of the legacy protocol, as one node takes them."""

import json
import random
import secrets
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import etcd

from rendezvous_core import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from rendezvous_etcd.legacy.layout import CLOSED_TTL, RANK_TTL, ROUND_TTL, SETUP_TTL, Layout
from rendezvous_etcd.legacy.membership import Membership, missing_ranks
from rendezvous_etcd.legacy.state import ActiveState, parse_state
from rendezvous_etcd.v2.backend import CONFLICTS
from rendezvous_etcd.v2.client import EtcdCalls, UncertainError, index_of
from rendezvous_etcd.v2.store import EtcdStore

_SLICE = 5.0
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 1.0


class _Again(Exception):
    """The state is not what it was: begin anew."""


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
        self._run_id = run_id
        self._min, self._max = num_min_workers, num_max_workers
        self._timeout, self._last_call_timeout = timeout, last_call_timeout
        self._deadline = 0.0
        self._membership: Membership | None = None

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._run_id

    @property
    def membership(self) -> Membership | None:
        """This node's part in the present round."""
        return self._membership

    def rendezvous_barrier(self) -> tuple[str, int, int]:
        """Block until this node is part of a round; return version, rank and size of the world.

        Raises:
            RendezvousClosedError: the run is closed.
            RendezvousTimeoutError: no round came about in time.
            RendezvousConnectionError: etcd could not be reached in time.
            RendezvousStateError: what etcd holds is of something else, or the others' settings differ.
        """
        self._deadline = time.monotonic() + self._timeout
        self.leave()
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._try()
            except _Again:
                self._check_time(None)
            except RendezvousConnectionError:
                if time.monotonic() + pause > self._deadline:
                    raise
                self._calls.rest(pause)
                pause = min(2 * pause, _LAST_PAUSE)

    def leave(self) -> None:
        """Let the rank of this node expire, as that of a node that died."""
        if self._membership is not None:
            self._membership.end()
            self._membership = None

    def get_rdzv_state(self) -> ActiveState | None:
        """Read the state; ``None`` where there is none."""
        try:
            found = self._calls.read(self._layout.state)
        except etcd.EtcdKeyNotFound:
            return None
        return parse_state(found.value, found.etcd_index)

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
                if self._write(state, data, CLOSED_TTL):
                    return

    def setup_kv_store(self, rdzv_version: str) -> EtcdStore:
        """The store of a round."""
        return EtcdStore(self._calls, self._layout.store(rdzv_version))

    def store_extra_data(self, rdzv_version: str, key: str, value: Any) -> None:
        """Tell the nodes of a round something, as JSON."""
        node = self._layout.extra_data(rdzv_version)
        for attempt in range(1_000_000):
            condition: dict[str, Any] = {"prevExist": False}
            data = {}
            with suppress(etcd.EtcdKeyNotFound):
                found = self._calls.read(node)
                data, condition = json.loads(found.value), {"prevValue": found.value}
            try:
                self._calls.write(node, json.dumps({**data, key: value}), safe=True, **condition)
            except CONFLICTS:
                self._back_off(attempt)
            else:
                return

    def load_extra_data(self, rdzv_version: str, key: str, timeout: float | None = None) -> Any:
        """Block until a node of the round has told ``key``, at most ``timeout`` seconds (`EtcdRendezvous`'s).

        Raises:
            RendezvousTimeoutError: nobody did.
        """
        limit = self._timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        node = self._layout.extra_data(rdzv_version)
        while True:
            try:
                found = self._calls.read(node)
            except etcd.EtcdKeyNotFound as error:
                index = index_of(error)
            else:
                index, data = found.etcd_index, json.loads(found.value)
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

    # From one state to the next

    def _try(self) -> tuple[str, int, int]:
        state = self.get_rdzv_state() or self._create()
        match state.status:
            case "closed":
                raise self._closed()
            case "joinable":
                return self._join(state)
            case "final":
                self._wait_until_free(state)
            case _:
                self._watch(state)
        raise _Again

    def _create(self) -> ActiveState:
        setup = self._write(None, {"status": "setup"}, SETUP_TTL)
        if setup is None:
            raise _Again
        version = self._next_version()
        with suppress(etcd.EtcdAlreadyExist):
            self._calls.write(self._layout.version(version), None, safe=True, dir=True, prevExist=False)
        with suppress(etcd.EtcdKeyNotFound):
            # Nobody can be in the round before the last any more.
            self._calls.delete(self._layout.version(str(int(version) - 2)), safe=True, recursive=True)
        state = self._write(setup, {"status": "joinable", "version": version, "participants": []}, None)
        if state is None:
            raise _Again
        return state

    def _next_version(self) -> str:
        with suppress(etcd.EtcdAlreadyExist):
            self._calls.write(self._layout.counter, "0", safe=True, prevExist=False)
        for attempt in range(1_000_000):
            found = self._calls.read(self._layout.counter)
            version = str(int(found.value) + 1)
            try:
                self._calls.write(self._layout.counter, version, prevIndex=found.modifiedIndex)
            except CONFLICTS:
                self._back_off(attempt)
            else:
                return version
        raise AssertionError

    def _join(self, state: ActiveState) -> tuple[str, int, int]:
        version = state.version
        joined, rank = self._take_rank(state)
        with self._giving_up(version):
            if rank == self._min - 1 and joined.status == "joinable":
                self._last_call(joined)
            self._await(version, "frozen", "joinable")
            membership = self._confirm(version, rank)
            try:
                final = self._await(version, "final", "frozen")
            except BaseException:
                membership.end()
                raise
        membership.complete(final)
        self._membership = membership
        weakref.finalize(self, membership.end)
        return version, rank, len(final.participants)

    def _take_rank(self, state: ActiveState) -> tuple[ActiveState, int]:
        version = state.version
        for attempt in range(1_000_000):
            if not state.is_at(version, "joinable"):
                break
            ranks = state.participants
            rank = len(ranks)
            if rank >= self._max:
                raise RendezvousStateError(
                    f"The run '{self._run_id}' takes more nodes than the {self._max} that are the most here: "
                    "the settings of the nodes differ."
                )
            ttl: int | None = None
            data = {**state.data, "participants": [*ranks, rank]}
            if rank + 1 == self._max:
                data, ttl = {**data, "status": "frozen", "keep_alives": []}, ROUND_TTL
            elif rank + 1 >= self._min:
                ttl = ROUND_TTL
            joined = self._write(state, data, ttl)
            if joined is not None:
                return joined, rank
            self._back_off(attempt)
            state = self._read()
        raise _Again

    def _last_call(self, state: ActiveState) -> None:
        """Wait for late nodes, keep the state alive meanwhile, and freeze it."""
        version, until = state.version, min(self._deadline, time.monotonic() + self._last_call_timeout)
        attempt = 0
        while state.is_at(version, "joinable"):
            left = until - time.monotonic()
            if left <= 0:
                written = self._write(state, {**state.data, "status": "frozen", "keep_alives": []}, ROUND_TTL)
            else:
                written = self._write(state, state.data, ROUND_TTL)
            if written is None:
                attempt += 1
                self._back_off(attempt)
                state = self._read()
            elif left <= 0:
                return
            else:
                state = self._watch(written, min(left, ROUND_TTL / 2))

    def _confirm(self, version: str, rank: int) -> Membership:
        key = self._layout.rank(version, rank)
        self._calls.write(key, "", safe=True, ttl=RANK_TTL)
        for attempt in range(1_000_000):
            state = self._read()
            if not state.is_at(version, "frozen"):
                break
            confirmed = [*state.keep_alives, key]
            ttl: int | None = ROUND_TTL
            data = {**state.data, "keep_alives": confirmed}
            if len(confirmed) == len(state.participants):
                data, ttl = {**data, "status": "final", "num_workers_waiting": 0}, None
            if self._write(state, data, ttl) is not None:
                return Membership(self._calls, self._layout, version, rank)
            self._back_off(attempt)
        raise _Again

    def _wait_until_free(self, state: ActiveState) -> None:
        """Announce this node to a complete round, and wait for its end; end it if somebody is gone."""
        version = state.version
        for attempt in range(1_000_000):
            if not state.is_at(version, "final"):
                return
            announced = self._write(state, {**state.data, "num_workers_waiting": state.waiting + 1}, None)
            if announced is not None:
                break
            self._back_off(attempt)
            state = self._read()
        try:
            state = self._read()
            while state.is_at(version, "final"):
                if missing_ranks(self._calls, self._layout, state):
                    with suppress(*CONFLICTS):
                        self._calls.delete(self._layout.state, safe=True, prevValue=state.value)
                    return
                self._watch(state, path=self._layout.all)
                state = self._read()
        except (_Again, RendezvousConnectionError):
            raise
        except BaseException:
            self._stop_waiting(version)
            raise

    def _stop_waiting(self, version: str) -> None:
        with suppress(RendezvousError, _Again):
            for attempt in range(100):
                state = self._read()
                if not state.is_at(version, "final") or state.waiting == 0:
                    return
                if self._write(state, {**state.data, "num_workers_waiting": state.waiting - 1}, None):
                    return
                self._back_off(attempt)

    @contextmanager
    def _giving_up(self, version: str) -> Iterator[None]:
        """Whoever leaves a round that is being formed ends it: ranks that are taken cannot be given back."""
        try:
            yield
        except (_Again, RendezvousConnectionError):
            raise
        except BaseException:
            with suppress(RendezvousError, *CONFLICTS):
                state = self.get_rdzv_state()
                if state is not None and state.is_at(version, "joinable", "frozen"):
                    self._calls.delete(self._layout.state, safe=True, prevValue=state.value)
            raise

    # Reading and writing the state

    def _read(self) -> ActiveState:
        state = self.get_rdzv_state()
        if state is None:
            raise _Again
        return state

    def _write(self, former: ActiveState | None, data: dict[str, Any], ttl: int | None) -> ActiveState | None:
        """Compare-and-swap; ``None`` if it was not ``former`` that stood."""
        nonce = secrets.token_hex(8)
        value = json.dumps({**data, "nonce": nonce})
        condition = {"prevExist": False} if former is None else {"prevValue": former.value}
        try:
            written = self._calls.write(self._layout.state, value, ttl=ttl, **condition)
        except CONFLICTS:
            return None
        except UncertainError:
            standing = self.get_rdzv_state()
            if standing is None or standing.data.get("nonce") != nonce:
                raise
            return standing
        return parse_state(value, written.etcd_index)

    def _await(self, version: str, status: str, before: str) -> ActiveState:
        """Block until the round has come to ``status``, from ``before``."""
        state = self._read()
        while not state.is_at(version, status):
            if state.status == "closed":
                raise self._closed()
            if not state.is_at(version, before):
                raise _Again
            state = self._watch(state)
        return state

    def _watch(self, state: ActiveState, timeout: float = _SLICE, path: str | None = None) -> ActiveState:
        """Wait for a change after ``state``, and read it anew."""
        self._check_time(state)
        limit = max(0.0, min(timeout, _SLICE, self._deadline - time.monotonic()))
        with suppress(etcd.EtcdWatchTimedOut, etcd.EtcdEventIndexCleared):
            self._calls.watch(path or self._layout.state, state.seen, limit, recursive=path is not None)
        return self._read()

    def _check_time(self, state: ActiveState | None) -> None:
        if time.monotonic() < self._deadline:
            return
        text = f"The rendezvous '{self._run_id}' did not complete within {self._timeout:g} s"
        if state is not None:
            there = len(state.participants)
            text += f": it is {state.status}, with {there} of at least {self._min} nodes"
        raise RendezvousTimeoutError(f"{text}.")

    def _closed(self) -> RendezvousClosedError:
        return RendezvousClosedError(f"The rendezvous '{self._run_id}' is closed.")

    def _back_off(self, attempt: int) -> None:
        self._calls.rest(random.uniform(0, min(0.002 * 2 ** min(attempt, 10), 0.1)))
