"""Backends that break the contract. No test of this project runs here: see test_kit.py."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import pytest

from rendezvous_core import Members, RendezvousConnectionError, Token
from rendezvous_core.testing import MembershipSuite, MemoryBackend, MemoryServer, Proxy
from tests.core.kit.breaking import Broken, Remote
from tests.core.kit.remote import RemoteBackend, RemoteServer

State = tuple[bytes, Token] | None
Standing = tuple[bytes, Token, bool] | None


def suite(broken: type) -> type[MembershipSuite]:
    if issubclass(broken, RemoteBackend):

        class RemoteSuite(Remote, MembershipSuite):
            server_class = getattr(broken, "server_class", RemoteServer)

            @pytest.fixture
            def backend_factory(self, link: Proxy) -> Callable[[str], Any]:
                return self.factory(broken, link)

        return RemoteSuite

    class MemorySuite(MembershipSuite):
        @pytest.fixture
        def backend_factory(self) -> Callable[[str], Any]:
            server = MemoryServer()
            return lambda run_id: broken(server, run_id)

        @pytest.fixture
        def corrupt(self, backend_factory: Callable[[str], Any]) -> Callable[[str], None]:
            def corrupt(run_id: str) -> None:
                backend = backend_factory(run_id)
                MemoryBackend.set_state(backend, b"\xff", MemoryBackend.get_state(backend)[1])  # type: ignore[index]

            return corrupt

    return MemorySuite


BROKEN = Broken(suite)
caught_by = BROKEN.caught_by


def race() -> None:
    """Where a broken thing is in the middle of what should be one step."""
    time.sleep(0.002)


# The register


@caught_by("test_no_update_is_lost", "test_one_of_many_racers_wins", "test_threads_share_a_client")
class LostUpdate(MemoryBackend):
    """Compares in one step and sets in another."""

    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        found = self.get_state()
        if token != (found and found[1]):
            return found and (*found, False)
        race()
        found = self.get_state()
        return super().set_state(state, found and found[1])


@caught_by("test_stale_token_does_not_write", "test_no_token_does_not_overwrite")
class IgnoredToken(MemoryBackend):
    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        found = self.get_state()
        return super().set_state(state, found and found[1])


@caught_by("test_no_token_does_not_overwrite")
class NoTokenMeansAnyToken(MemoryBackend):
    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        found = self.get_state()
        return super().set_state(state, (found and found[1]) if token is None else token)


@caught_by("test_foreign_token_does_not_write[-1]")
class MinusOneMeansAnyToken(MemoryBackend):
    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        found = self.get_state()
        return super().set_state(state, (found and found[1]) if token == -1 else token)


@caught_by("test_foreign_token_does_not_write['foreign']")
class RejectsForeignTokens(MemoryBackend):
    """Takes a foreign token for a mistake of its caller."""

    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        if not isinstance(token, int | None):
            raise TypeError(f"{token!r} is no token")
        return super().set_state(state, token)


@caught_by("test_token_of_another_run_does_not_write")
class WritesWhereThereIsNone(MemoryBackend):
    """Takes any token where there is no state."""

    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        return super().set_state(state, token if self.get_state() else None)


@caught_by("test_token_is_not_current_again")
class ContentAsToken(MemoryBackend):
    def get_state(self) -> State:
        found = super().get_state()
        return found and (found[0], found[0])

    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        found = super().get_state()
        if token != (found and found[0]):
            return found and (found[0], found[0], False)
        standing = super().set_state(state, found and found[1])
        return standing and (standing[0], standing[0], standing[2])


@caught_by("test_every_client_sees_every_write")
class CachedRead(MemoryBackend):
    cached: State = None

    def get_state(self) -> State:
        self.cached = self.cached or super().get_state()
        return self.cached

    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        standing = super().set_state(state, token)
        self.cached = standing and standing[:2]
        return standing


@caught_by("test_history")
class StaleRead(MemoryBackend):
    """Sees its own writes at once, and those of others some milliseconds later, as a replica would."""

    cached: State = None
    cached_at = 0.0

    def get_state(self) -> State:
        if time.monotonic() > self.cached_at + 0.005:
            self.cached, self.cached_at = super().get_state(), time.monotonic()
        return self.cached

    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        self.cached_at = 0.0
        return super().set_state(state, token)


@caught_by("test_any_bytes_are_a_state[0]")
class EmptyIsNone(MemoryBackend):
    def get_state(self) -> State:
        found = super().get_state()
        return found if found and found[0] else None


@caught_by("test_any_bytes_are_a_state[256]")
class TextOnly(MemoryBackend):
    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        return super().set_state(state.decode(errors="replace").encode(), token)


@caught_by("test_no_token_does_not_overwrite", "test_one_of_many_racers_wins")
class TellsTheLoserItsOwnState(MemoryBackend):
    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        standing = super().set_state(state, token)
        return standing and (state, *standing[1:])


@caught_by("test_stale_token_does_not_write")
class RaisesOnConflict(MemoryBackend):
    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        standing = super().set_state(state, token)
        if standing and not standing[2]:
            raise RuntimeError("conflict")
        return standing


@caught_by("test_runs_are_apart", "test_members_of_runs_are_apart")
class LeaksBetweenRuns(MemoryBackend):
    """Gives runs the same key whose ids differ only behind a slash."""

    def __init__(self, server: MemoryServer, run_id: str) -> None:
        super().__init__(server, run_id.partition("/")[0])


@caught_by("test_close_twice")
class ClosesOnce(MemoryBackend):
    def close(self) -> None:
        if self._closed:
            raise RuntimeError("already closed")
        super().close()


@caught_by("test_close_concerns_one_client")
class ClosesAll(MemoryBackend):
    """Shares one connection, and closes it for all."""

    def close(self) -> None:
        super().close()
        self._server._call = None  # type: ignore[method-assign, assignment]


@caught_by("test_use_after_close", "test_members_after_close")
class RawErrorAfterClose(MemoryBackend):
    def close(self) -> None:
        super().close()
        self._server = None  # type: ignore[assignment]

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        return self._server._call(self._run_id, *args)


@caught_by("test_corruption")
class TakesDamageForNone(MemoryBackend):
    def get_state(self) -> State:
        found = super().get_state()
        with suppress(UnicodeDecodeError):
            return found and (found[0].decode().encode(), found[1])
        return None


# Connections


@caught_by("test_unreachable")
class SwallowedDisconnect(RemoteBackend):
    """Takes a lost connection for a missing state."""

    def get_state(self) -> State:
        with suppress(RendezvousConnectionError):
            return super().get_state()
        return None


@caught_by("test_unreachable", "test_members_unreachable")
class RawConnectionError(RemoteBackend):
    def __init__(self, port: int, run_id: str) -> None:
        super().__init__(port, run_id)
        self.call = self._call

    def _call(self, method: str, *args: object, **kwargs: object) -> Any:
        try:
            return self.client.call(method, *args, **kwargs)
        except RendezvousConnectionError as error:
            raise ConnectionResetError("lost") from error


@caught_by("test_unreachable")
class RetriesForEver(RemoteBackend):
    def get_state(self) -> State:
        while True:
            with suppress(RendezvousConnectionError):
                return super().get_state()
            race()


@caught_by("test_reconnect", "test_cut_connection", "test_state_survives_a_restart")
class NeverReconnects(RemoteBackend):
    def __init__(self, port: int, run_id: str) -> None:
        super().__init__(port, run_id)
        self.call = self._call

    def _call(self, method: str, *args: object, **kwargs: object) -> Any:
        try:
            return self.client.call(method, *args, **kwargs)
        except RendezvousConnectionError:
            self.client.close()
            raise


@caught_by("test_lost_reply")
class SendsAgain(RemoteBackend):
    """Sends a write again whose reply was lost, and takes its own state for another's."""

    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        with suppress(RendezvousConnectionError):
            return super().set_state(state, token)
        return super().set_state(state, token)


@caught_by("test_history_with_lost_connections")
class WritesTwice(RemoteBackend):
    """Where a reply was lost, reads what stands now, and writes over that."""

    def set_state(self, state: bytes, token: Token | None = None) -> Standing:
        while True:
            try:
                return super().set_state(state, token)
            except RendezvousConnectionError:
                time.sleep(0.01)
                found = super().get_state()
                token = found and found[1]


class Forgetful(RemoteServer):
    """Loses its data with a restart, and counts its tokens from the beginning."""

    def stop(self) -> None:
        super().stop()
        self.memory = MemoryServer()


@caught_by("test_reconnect", "test_state_survives_a_restart")
class TokensBeginAnew(RemoteBackend):
    server_class: ClassVar = Forgetful


@caught_by("test_close_while_unreachable")
class ClosesWithAGoodbye(RemoteBackend):
    def close(self) -> None:
        if not self.client._closed:
            self.get_state()
        super().close()


# Members


@caught_by("test_every_client_sees_every_put")
class CachedMembers(MemoryBackend):
    cached: Members | None = None

    def members(self) -> Members:
        self.cached = self.cached or super().members()
        return self.cached


@caught_by("test_no_put_is_lost")
class WholeTable(MemoryBackend):
    """Writes all members to change one."""

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        table = {**self.members().records, node: record}
        race()
        self._server._runs[self._run_id].members = table


@caught_by("test_remove_no_member")
class CannotRemoveNobody(MemoryBackend):
    def remove_member(self, node: str) -> None:
        del self._server._runs[self._run_id].members[node]


@caught_by("test_members_and_state_are_apart")
class MembersInTheState(MemoryBackend):
    """A put gives the state another token."""

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        super().put_member(node, record, announce=announce)
        if found := self.get_state():
            self.set_state(*found)


class Expires(MemoryBackend):
    """Lets the record of a node go that has put none for `lifetime` seconds."""

    lifetime: ClassVar = 1.5

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        super().put_member(node, record, announce=announce)
        self._server.__dict__.setdefault("put_at", {})[node] = time.monotonic()

    def members(self) -> Members:
        records, token = super().members()
        limit = time.monotonic() - self.lifetime
        put_at = self._server.__dict__.get("put_at", {})
        return Members({node: record for node, record in records.items() if put_at[node] > limit}, token)


@caught_by("test_records_outlive_silence")
class ExpiresSoon(Expires):
    pass


@caught_by("test_records_outlive_silence")
class ExpiresLater(Expires):
    lifetime = 6.0


@caught_by("test_members_of_runs_are_apart")
class MembersLeak(MemoryBackend):
    """Lists all members whose run id begins alike."""

    def members(self) -> Members:
        runs = [run for name, run in self._server._runs.items() if name.startswith(self._run_id)]
        return Members({node: record for run in runs for node, record in run.members.items()}, 0)


# Notification


@caught_by("test_wait_is_told_of_a_new_state", "test_wait_is_told_of_a_first_state")
class NeverNotifies(MemoryBackend):
    """Looks once, and at the end."""

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        if super().wait_for_change(token, 0, members):
            return True
        threading.Event().wait(timeout)
        return super().wait_for_change(token, 0, members)


@caught_by("test_wait_is_told_of_a_first_state")
class WaitsForAKnownStateOnly(MemoryBackend):
    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        if token is None and not self.get_state():
            threading.Event().wait(timeout)
        return super().wait_for_change(token, timeout, members)


@caught_by("test_wait_is_told_of_an_announcement", "test_wait_is_told_of_a_new_record")
class AnnouncesNothing(MemoryBackend):
    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        return super().wait_for_change(token, timeout)


@caught_by("test_wait_is_told_of_an_announcement")
class NoTokenOfAnEmptyListing(MemoryBackend):
    def members(self) -> Members:
        listing = super().members()
        return listing if listing.records else Members({}, None)


@caught_by("test_heartbeats_wake_nobody")
class AnnouncesEverything(MemoryBackend):
    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        super().put_member(node, record, announce=True)


@caught_by("test_wait_runs_out_of_time")
class ReturnsAtOnce(MemoryBackend):
    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        return True


@caught_by("test_wait_runs_out_of_time")
class LosesPatience(MemoryBackend):
    """Says that the time has run out when half of it has."""

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        return super().wait_for_change(token, timeout / 2, members)


@caught_by("test_wait_for_nothing")
class ZeroMeansForEver(MemoryBackend):
    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        return super().wait_for_change(token, timeout or 10, members)


@caught_by("test_wait_is_told_of_what_has_happened")
class SeesOnlyTheFuture(MemoryBackend):
    """Watches for the next change from the call on."""

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        found = self.get_state()
        listing = self.members()
        return super().wait_for_change(found and found[1], timeout, members and listing.token)


@caught_by("test_wait_is_told_of_what_has_happened")
class HeartbeatsHideAnnouncements(MemoryBackend):
    """Keeps only whether the latest put of a node was news."""

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        run = self._server._runs[self._run_id]
        former = run.news
        super().put_member(node, record, announce=announce)
        if announce:
            self._server.__dict__["former"] = former
        else:
            run.news = self._server.__dict__.get("former", run.news)


@caught_by("test_all_who_wait_are_told")
class TellsOne(MemoryBackend):
    """The first waiter that is told takes the news away from the others."""

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        deadline = time.monotonic() + timeout
        changed = super().wait_for_change(token, timeout, members)
        found = self.get_state()
        told = self._server.__dict__.setdefault("told", set())
        if changed and found and found[1] in told:
            threading.Event().wait(deadline - time.monotonic())
            return False
        told.add(found and found[1])
        return changed


@caught_by("test_waits_miss_nothing")
class LooksBeforeItWatches(MemoryBackend):
    """Does not see what happens between its look and its watch."""

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        if super().wait_for_change(token, 0, members):
            return True
        race()
        found = self.get_state()
        listing = self.members()
        return super().wait_for_change(found and found[1], timeout, members and listing.token)


@caught_by("test_close_ends_a_wait")
class ClosesWhileOthersWait(MemoryBackend):
    """Leaves waits in other threads to their time."""

    def close(self) -> None:
        self._closed = True


@caught_by("test_a_wait_holds_up_nothing")
class OneConnection(MemoryBackend):
    """A wait keeps the only connection busy."""

    def __init__(self, server: MemoryServer, run_id: str) -> None:
        super().__init__(server, run_id)
        self._connection = threading.Lock()

    def get_state(self) -> State:
        with self._connection:
            return super().get_state()

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        with self._connection:
            super().put_member(node, record, announce=announce)

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        with self._connection:
            return super().wait_for_change(token, timeout, members)


@caught_by("test_waiting_sends_next_to_nothing")
class Polls(RemoteBackend):
    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        deadline = time.monotonic() + timeout
        while not super().wait_for_change(token, 0, members):
            if time.monotonic() > deadline:
                return False
            race()
        return True


@caught_by("test_cut_while_waiting", "test_restart_while_waiting")
class ForgetsToWatchAgain(RemoteBackend):
    """A wait whose connection is lost goes on waiting for nothing."""

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        try:
            return super().wait_for_change(token, timeout, members)
        except RendezvousConnectionError:
            threading.Event().wait(timeout)
            return False


globals().update(BROKEN.suites)
