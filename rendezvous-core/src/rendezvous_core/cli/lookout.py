"""Watches runs without taking part in them."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from rendezvous_core.cli.describing import describe_outline, describe_run, with_the_gone
from rendezvous_core.cli.look import RunLook, UnreadableRun
from rendezvous_core.dynamic.history import Happening, history_store, read_history
from rendezvous_core.dynamic.ledgers import Ledgers
from rendezvous_core.over_register.register import unpacked
from rendezvous_core.plugins.loading import RendezvousPluginError
from rendezvous_core.ports.errors import RendezvousSecretError, RendezvousStateError
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.runs import RunOutline, StoredRun
from rendezvous_core.ports.store import Store
from rendezvous_core.records.codec import decode_member, decode_state
from rendezvous_core.records.member import Member
from rendezvous_core.registry import WholeHandlerError, create_backend, create_store, open_runs
from rendezvous_core.sealing.backend import opened_run
from rendezvous_core.sealing.keys import Keyring, find_keyring
from rendezvous_core.sqlite.path import full_path

_SETTLED = 10.0
"""For how many seconds those who wait may take to notice that the run is closed."""

_GLANCE = 0.5
"""Seconds between two looks at heartbeats, which wake nobody."""


class Lookout:
    """Watches a run without taking part in it.

    Raises as `create_backend` does.
    """

    def __init__(self, params: RendezvousParameters) -> None:
        self._params, self._run_id = params, params.run_id
        self._backend = create_backend(params)
        self.events: tuple[Happening, ...] = ()
        """The history, as of the latest look."""
        self._store: Store | None = None
        self._beats: dict[str, tuple[int, float | None]] = {}
        self._state_token: Any = None
        self._members_token: Any = None

    def look(self) -> RunLook | None:
        """Return the run as it is now; ``None`` where there is none.

        Raises:
            RendezvousConnectionError: the backend cannot be reached.
            RendezvousStateError: the state cannot be read.
        """
        found = self._backend.get_state()
        members = self._members()
        self._state_token = found[1] if found else None
        if found is None:
            return None
        state = Ledgers(self._kept(), self._run_id).complete(decode_state(found[0]))
        look = describe_run(self._run_id, state, members, self._ages(members))
        self.events = self.history()
        return with_the_gone(look, self.events)

    def history(self) -> tuple[Happening, ...]:
        """Return the last events of the run, the oldest first; none where its store cannot be used.

        Raises:
            RendezvousConnectionError: the backend cannot be reached.
        """
        return read_history(self._kept(), self._run_id)

    def _kept(self) -> Store:
        """What the run's nodes keep their history and ledgers in."""
        if self._store is None:
            store = create_store(self._params, self._backend)
            self._store = history_store(store, self._backend, self._run_id)
        return self._store

    def find_life(self, tell: Callable[[], None]) -> RunLook | None:
        """Watch until somebody gives a sign of life; ``None`` once all have been silent for too long.

        Relies on no clock but this one. Calls ``tell`` before it begins to wait.
        """
        began, first = time.monotonic(), self._backend.get_state()
        former: dict[str, Member] | None = None
        while True:
            members = self._members()
            heard = former is not None and any(
                node not in former or member.beat > former[node].beat for node, member in members.items()
            )
            standing = self._backend.get_state()
            if heard or (standing and first and standing[1] != first[1]):
                return self.look()
            if former is None:
                former = members
                if former:
                    tell()
            patience = max((member.dead_after for member in former.values()), default=0.0)
            left = began + patience - time.monotonic()
            if left <= 0:
                return None
            self._backend.wait_for_change(standing and standing[1], min(left, _GLANCE))

    def wait_for_the_waiting(self) -> RunLook | None:
        """Return a run that was closed, once those who wait have ended or take too long."""
        began = time.monotonic()
        while True:
            self._backend.wait_for_change(self._state_token, _GLANCE)
            look = self.look()
            waiting = look.those("waiting") if look else []
            if not waiting or time.monotonic() - began > _SETTLED:
                return look

    def wait(self, timeout: float) -> None:
        """Block until the run differs from the last look, at most ``timeout`` seconds."""
        self._backend.wait_for_change(self._state_token, timeout, self._members_token)

    def close(self) -> None:
        """Release the backend; a `wait` in another thread ends."""
        self._backend.close()

    def _members(self) -> dict[str, Member]:
        records, self._members_token = self._backend.members()
        return {node: member for node, data in records.items() if (member := _readable(data))}

    def _ages(self, members: Mapping[str, Member]) -> dict[str, float]:
        """How long ago each was heard, by our clock where we have seen it beat, else by its own."""
        now, ages = time.monotonic(), {}
        for node, member in members.items():
            beat, heard = self._beats.get(node, (member.beat, None))
            if member.beat > beat:
                heard = now
            self._beats[node] = (member.beat, heard)
            ages[node] = max(0.0, time.time() - member.at) if heard is None else now - heard
        return ages


class ListLookout:
    """A `Lookout` by the list of all runs, for a backend that opens no single one; it keeps no history.

    Raises as `open_runs` does.
    """

    events: tuple[Happening, ...] = ()

    def __init__(self, params: RendezvousParameters) -> None:
        self._run_id, self._keyring = params.run_id, find_keyring(params)
        self._runs = open_runs(params)

    def look(self) -> RunLook | None:
        """See `Lookout.look`."""
        stored = self._runs.read().get(self._run_id)
        look = _look_at(self._run_id, stored, self._keyring) if stored else None
        if isinstance(look, UnreadableRun):
            raise RendezvousStateError(look.problem)
        return look

    def history(self) -> tuple[Happening, ...]:
        """See `Lookout.history`."""
        return ()

    def find_life(self, tell: Callable[[], None]) -> RunLook | None:
        """See `Lookout.find_life`; who is silent may live, and the backend says who is gone."""
        look = self.look()
        return look if look and look.those("active", "silent", "waiting", "away") else None

    def wait_for_the_waiting(self) -> RunLook | None:
        """See `Lookout.wait_for_the_waiting`; nothing tells when they have ended."""
        self.wait(2 * _GLANCE)
        return self.look()

    def wait(self, timeout: float) -> None:
        """Let ``timeout`` seconds pass."""
        time.sleep(timeout)

    def close(self) -> None:
        """Release connections."""
        self._runs.close()


def open_lookout(params: RendezvousParameters, *, waits: bool = False) -> Lookout | ListLookout:
    """Return what looks at the run of ``params``, or ``waits`` for it; raises as `create_backend` does."""
    if params.backend == "sqlite" and not waits and not os.path.lexists(full_path(params.endpoint)):
        return ListLookout(params)  # which makes no file
    try:
        return Lookout(params)
    except WholeHandlerError as error:
        try:
            return ListLookout(params)
        except RendezvousPluginError:
            raise error from None


def look_at_runs(params: RendezvousParameters) -> list[RunLook | UnreadableRun]:
    """Return all runs at the endpoint of ``params``, by their ids; takes part in none.

    Raises as `open_runs` does.
    """
    with open_runs(params) as runs:
        found = runs.read()
    keyring = find_keyring(params)
    looks = [_look_at(run_id, run, keyring) for run_id, run in sorted(found.items())]
    return [look for look in looks if look]


def _look_at(
    run_id: str, stored: StoredRun | RunOutline, keyring: Keyring | None
) -> RunLook | UnreadableRun | None:
    if isinstance(stored, RunOutline):
        return describe_outline(run_id, stored)
    plain = unpacked(stored)
    if plain is None:
        return None
    try:
        run = opened_run(plain, keyring, run_id)
        state = decode_state(run.state)
    except RendezvousSecretError as error:
        return UnreadableRun(run_id, str(error), "sealed")
    except RendezvousStateError as error:
        return UnreadableRun(run_id, str(error))
    members = {node: member for node, data in run.members.items() if (member := _readable(data))}
    ages = {node: max(0.0, time.time() - member.at) for node, member in members.items()}
    return describe_run(run_id, state, members, ages)


def _readable(data: bytes) -> Member | None:
    try:
        return decode_member(data)
    except RendezvousStateError:
        return None
