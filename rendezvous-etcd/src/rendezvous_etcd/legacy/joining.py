"""The steps from one state to the next, as a node takes them that wants to be in a round."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import etcd

from rendezvous_core import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from rendezvous_etcd.legacy.layout import RANK_TTL, ROUND_TTL, Layout
from rendezvous_etcd.legacy.membership import Membership, missing_ranks
from rendezvous_etcd.legacy.opening import open_round
from rendezvous_etcd.legacy.state import ActiveState
from rendezvous_etcd.legacy.state_key import BeginAnew, StateKey
from rendezvous_etcd.v2.client import EtcdCalls
from rendezvous_etcd.v2.swap import back_off

_SLICE = 5.0


class Terms(NamedTuple):
    """What the nodes of a run agree on."""

    run_id: str
    min_workers: int
    max_workers: int
    timeout: float
    last_call_timeout: float


class Joining:
    """One node's way into a round, within ``terms.timeout`` from now.

    Every step may raise `BeginAnew`, and ``RendezvousConnectionError``: `try_once` again then.
    """

    def __init__(self, calls: EtcdCalls, layout: Layout, terms: Terms) -> None:
        self._calls = calls
        self._layout = layout
        self._key = StateKey(calls, layout.state)
        self._terms = terms
        self.deadline = time.monotonic() + terms.timeout

    def try_once(self) -> tuple[Membership, int, int]:
        """Go as far as the states allow: to a part in a complete round, its rank, and its size.

        Raises:
            RendezvousClosedError: the run is closed.
            RendezvousTimeoutError: no round came about in time.
            RendezvousStateError: what etcd holds is of something else, or the others' settings differ.
        """
        state = self._key.find() or open_round(self._calls, self._layout, self._key)
        match state.status:
            case "closed":
                raise self._closed()
            case "joinable":
                return self._join(state)
            case "final":
                self._wait_until_free(state)
            case _:
                self._watch(state)
        raise BeginAnew

    def check_time(self, state: ActiveState | None = None) -> None:
        """Raise ``RendezvousTimeoutError`` once the time is over."""
        if time.monotonic() < self.deadline:
            return
        text = f"The rendezvous '{self._terms.run_id}' did not complete within {self._terms.timeout:g} s"
        if state is not None:
            there = len(state.participants)
            text += f": it is {state.status}, with {there} of at least {self._terms.min_workers} nodes"
        raise RendezvousTimeoutError(f"{text}.")

    # In a round that is being formed

    def _join(self, state: ActiveState) -> tuple[Membership, int, int]:
        version = state.version
        joined, rank = self._take_rank(state)
        with self._giving_up(version):
            if rank == self._terms.min_workers - 1 and joined.status == "joinable":
                self._last_call(joined)
            self._await(version, "frozen", "joinable")
            membership = self._confirm(version, rank)
            try:
                final = self._await(version, "final", "frozen")
            except BaseException:
                membership.end()
                raise
        membership.complete(final)
        return membership, rank, len(final.participants)

    def _take_rank(self, state: ActiveState) -> tuple[ActiveState, int]:
        version = state.version
        for attempt in range(1_000_000):
            if not state.is_at(version, "joinable"):
                break
            ranks = state.participants
            rank = len(ranks)
            if rank >= self._terms.max_workers:
                raise RendezvousStateError(
                    f"The run '{self._terms.run_id}' takes more nodes than the {self._terms.max_workers} "
                    "that are the most here: the settings of the nodes differ."
                )
            ttl: int | None = None
            data = {**state.data, "participants": [*ranks, rank]}
            if rank + 1 == self._terms.max_workers:
                data, ttl = {**data, "status": "frozen", "keep_alives": []}, ROUND_TTL
            elif rank + 1 >= self._terms.min_workers:
                ttl = ROUND_TTL
            joined = self._key.write(state, data, ttl)
            if joined is not None:
                return joined, rank
            back_off(self._calls, attempt)
            state = self._key.read()
        raise BeginAnew

    def _last_call(self, state: ActiveState) -> None:
        """Wait for late nodes, keep the state alive meanwhile, and freeze it."""
        version = state.version
        until = min(self.deadline, time.monotonic() + self._terms.last_call_timeout)
        attempt = 0
        while state.is_at(version, "joinable"):
            left = until - time.monotonic()
            frozen = {} if left > 0 else {"status": "frozen", "keep_alives": []}
            written = self._key.write(state, {**state.data, **frozen}, ROUND_TTL)
            if written is None:
                attempt += 1
                back_off(self._calls, attempt)
                state = self._key.read()
            elif frozen:
                return
            else:
                state = self._watch(written, min(left, ROUND_TTL / 2))

    def _confirm(self, version: str, rank: int) -> Membership:
        key = self._layout.rank(version, rank)
        self._calls.write(key, "", safe=True, ttl=RANK_TTL)
        for attempt in range(1_000_000):
            state = self._key.read()
            if not state.is_at(version, "frozen"):
                break
            confirmed = [*state.keep_alives, key]
            ttl: int | None = ROUND_TTL
            data = {**state.data, "keep_alives": confirmed}
            if len(confirmed) == len(state.participants):
                data, ttl = {**data, "status": "final", "num_workers_waiting": 0}, None
            if self._key.write(state, data, ttl) is not None:
                return Membership(self._calls, self._layout, version, rank)
            back_off(self._calls, attempt)
        raise BeginAnew

    @contextmanager
    def _giving_up(self, version: str) -> Iterator[None]:
        """Whoever leaves a round that is being formed ends it: ranks that are taken cannot be given back."""
        try:
            yield
        except (BeginAnew, RendezvousConnectionError):
            raise
        except BaseException:
            with suppress(RendezvousError):
                state = self._key.find()
                if state is not None and state.is_at(version, "joinable", "frozen"):
                    self._key.delete(state)
            raise

    # Too late for a round

    def _wait_until_free(self, state: ActiveState) -> None:
        """Announce this node to a complete round, and wait for its end; end it if somebody is gone."""
        version = state.version
        for attempt in range(1_000_000):
            if not state.is_at(version, "final"):
                return
            announced = self._key.write(state, {**state.data, "num_workers_waiting": state.waiting + 1}, None)
            if announced is not None:
                break
            back_off(self._calls, attempt)
            state = self._key.read()
        try:
            state = self._key.read()
            while state.is_at(version, "final"):
                if missing_ranks(self._calls, self._layout, state):
                    self._key.delete(state)
                    return
                self._watch(state, path=self._layout.all)
                state = self._key.read()
        except (BeginAnew, RendezvousConnectionError):
            raise
        except BaseException:
            self._stop_waiting(version)
            raise

    def _stop_waiting(self, version: str) -> None:
        with suppress(RendezvousError, BeginAnew):
            for attempt in range(100):
                state = self._key.read()
                if not state.is_at(version, "final") or state.waiting == 0:
                    return
                if self._key.write(state, {**state.data, "num_workers_waiting": state.waiting - 1}, None):
                    return
                back_off(self._calls, attempt)

    # Waiting for others

    def _await(self, version: str, status: str, before: str) -> ActiveState:
        """Block until the round has come to ``status``, from ``before``."""
        state = self._key.read()
        while not state.is_at(version, status):
            if state.status == "closed":
                raise self._closed()
            if not state.is_at(version, before):
                raise BeginAnew
            state = self._watch(state)
        return state

    def _watch(self, state: ActiveState, timeout: float = _SLICE, path: str | None = None) -> ActiveState:
        """Wait for a change after ``state``, and read it anew."""
        self.check_time(state)
        limit = max(0.0, min(timeout, _SLICE, self.deadline - time.monotonic()))
        with suppress(etcd.EtcdWatchTimedOut, etcd.EtcdEventIndexCleared):
            self._calls.watch(path or self._layout.state, state.seen, limit, recursive=path is not None)
        return self._key.read()

    def _closed(self) -> RendezvousClosedError:
        return RendezvousClosedError(f"The rendezvous '{self._terms.run_id}' is closed.")
