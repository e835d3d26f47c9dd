"""The contract of `MembershipBackend` as tests."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from rendezvous_core.ports.backend import Members, MembershipBackend, Token
from rendezvous_core.ports.errors import RendezvousConnectionError
from rendezvous_core.testing.suites.backend import BackendSuite
from rendezvous_core.testing.suites.base import Link, Server, needs, required, stopped
from rendezvous_core.testing.suites.checks import BINARY, SIMILAR, found, outcome, written
from rendezvous_core.testing.suites.membership_life import MembershipLife
from rendezvous_core.testing.suites.threads import is_blocked, start, together

Connect = Callable[..., MembershipBackend]


class MembershipSuite(MembershipLife, BackendSuite):
    """All of `BackendSuite`, a table of members, and notification of what changes.

    May also lack ``quiet_heartbeats``.
    """

    @pytest.fixture
    def backend_factory(self) -> Callable[[str], MembershipBackend]:
        """Required: a function that opens one more client of the run id it is given."""
        required("backend_factory", "a function from a run id to a new backend, one client of one server")

    # The table

    def test_there_are_no_members_at_first(self, backend: MembershipBackend) -> None:
        """The listing of a run that nobody joined is empty."""
        assert not backend.members().records

    def test_put_member(self, backend: MembershipBackend, other: MembershipBackend) -> None:
        """A record is listed under its node, by every client, until the node replaces it as a whole."""
        backend.put_member("one", b"a longer record", announce=True)
        other.put_member("two", b"other", announce=False)
        backend.put_member("one", b"short", announce=False)
        for client in (backend, other):
            assert dict(client.members().records) == {"one": b"short", "two": b"other"}

    @pytest.mark.parametrize("record", [b"", BINARY, b"x" * 60_000], ids=len)
    def test_any_bytes_are_a_record(
        self, backend: MembershipBackend, other: MembershipBackend, record: bytes
    ) -> None:
        """Records are opaque bytes."""
        backend.put_member("one", record, announce=True)
        assert dict(other.members().records) == {"one": record}

    def test_remove_member(self, backend: MembershipBackend, other: MembershipBackend) -> None:
        """Any client may remove a record; the others stay, and the node may put a new one."""
        backend.put_member("one", b"1", announce=True)
        backend.put_member("two", b"2", announce=True)
        other.remove_member("one")
        assert dict(backend.members().records) == {"two": b"2"}
        backend.put_member("one", b"again", announce=False)
        assert dict(other.members().records) == {"one": b"again", "two": b"2"}

    def test_remove_no_member(self, backend: MembershipBackend) -> None:
        """Removing a record that is not there is no error."""
        backend.remove_member("nobody")
        backend.put_member("one", b"1", announce=True)
        backend.remove_member("one")
        backend.remove_member("one")
        assert not backend.members().records

    def test_members_and_state_are_apart(self, backend: MembershipBackend) -> None:
        """Neither puts nor removals touch the state or its token, nor do writes touch the members."""
        backend.put_member("one", b"1", announce=True)
        assert backend.get_state() is None
        state, token = written(backend.set_state(b"state"))
        backend.put_member("two", b"2", announce=True)
        backend.remove_member("one")
        assert backend.get_state() == (state, token)
        written(backend.set_state(b"more", token))
        assert dict(backend.members().records) == {"two": b"2"}

    def test_every_client_sees_every_put(self, connect: Connect) -> None:
        """A listing holds every put that was acknowledged before, whoever put it."""
        clients = [connect() for _ in range(3)]
        for number in range(6):
            writer, reader = clients[number % 3], clients[(number + 1) % 3]
            writer.put_member("one", b"%d" % number, announce=False)
            assert dict(reader.members().records) == {"one": b"%d" % number}

    def test_no_put_is_lost(self, connect: Connect) -> None:
        """Nodes that put and remove records all at once do not harm each other."""

        def come_and_stay(backend: MembershipBackend, name: str) -> None:
            for number in range(10):
                backend.put_member(name, b"%d" % number, announce=number % 2 == 0)
                backend.put_member(f"{name}-passing", b"", announce=False)
                backend.remove_member(f"{name}-passing")

        nodes = [(connect(), f"node{number}") for number in range(self.racers)]
        together([partial(come_and_stay, client, name) for client, name in nodes], self.patience)
        assert dict(nodes[0][0].members().records) == {name: b"9" for _, name in nodes}

    def test_members_of_runs_are_apart(self, connect: Connect, run_id: str) -> None:
        """No member of one run is listed in another, however similar their ids are."""
        runs = [connect(run_id + suffix) for suffix in SIMILAR]
        for number, run in enumerate(runs):
            run.put_member("one", b"%d" % number, announce=True)
        for number, run in enumerate(runs):
            assert dict(run.members().records) == {"one": b"%d" % number}

    # Waiting

    def test_wait_runs_out_of_time(self, backend: MembershipBackend) -> None:
        """Without a change a wait blocks, and returns ``False`` when its time has run out."""
        self._waits_in_vain(backend, None)
        _, token = written(backend.set_state(b"state"))
        backend.put_member("one", b"1", announce=True)
        self._waits_in_vain(backend, token)

    def test_wait_for_nothing(self, backend: MembershipBackend) -> None:
        """A wait of zero seconds looks once."""
        written(backend.set_state(b"old"))
        token = found(backend)[1]
        assert start(backend.wait_for_change, None, 0.0).result(self.patience)
        start(backend.wait_for_change, token, 0.0).result(self.patience)

    def test_news_that_bring_the_state(self, backend: MembershipBackend, other: MembershipBackend) -> None:
        """If a wait returns a state, it has been written since, and its token is what `get_state` returns."""
        _, token = written(backend.set_state(b"first"))
        waiting = start(backend.wait_for_change, token, 2 * self.patience)
        written(other.set_state(b"second", found(other)[1]))
        news = waiting.result(self.patience)
        assert news
        assert not isinstance(news, tuple) or news == found(backend), f"{news!r} is not what stands"
        _, token = written(
            backend.set_state(b"third", news[1] if isinstance(news, tuple) else found(backend)[1])
        )
        members = backend.members().token
        backend.put_member("one", b"1", announce=True)
        news = start(backend.wait_for_change, token, 2 * self.patience, members).result(self.patience)
        assert news
        assert not isinstance(news, tuple), "an announcement comes with a state that is not new"

    def test_wait_is_told_of_a_first_state(
        self, backend: MembershipBackend, other: MembershipBackend
    ) -> None:
        """``token=None`` waits for a state to appear."""
        waiting = start(self._await_state, backend, None)
        assert is_blocked(waiting, self.moment)
        written(other.set_state(b"state"))
        waiting.result(self.patience)

    def test_wait_is_told_of_a_new_state(self, backend: MembershipBackend, other: MembershipBackend) -> None:
        """A wait ends soon after another client's write, with its time far from run out."""
        for number in range(3):
            result = backend.get_state()
            token = result[1] if result else None
            waiting = start(self._await_state, backend, token)
            assert is_blocked(waiting, self.moment)
            written(other.set_state(b"%d" % number, token))
            waiting.result(self.patience)

    def test_wait_is_told_of_an_announcement(
        self, backend: MembershipBackend, other: MembershipBackend
    ) -> None:
        """With the token of a listing, even of an empty one, a wait ends with an announcing put."""
        for number in range(3):
            waiting = start(self._await_member, backend, f"node{number}")
            assert is_blocked(waiting, self.moment)
            other.put_member(f"node{number}", b"", announce=True)
            waiting.result(self.patience)

    def test_wait_is_told_of_a_new_record(self, backend: MembershipBackend, other: MembershipBackend) -> None:
        """A node that was listed already can announce news too."""
        other.put_member("one", b"0", announce=True)
        listing = backend.members()
        waiting = start(backend.wait_for_change, None, 2 * self.patience, listing.token)
        other.put_member("one", b"1", announce=True)
        assert waiting.result(self.patience)

    def test_wait_is_told_of_what_has_happened(
        self, backend: MembershipBackend, other: MembershipBackend
    ) -> None:
        """A change made after the token was read, but before the call, ends the wait at once."""
        empty = backend.members()
        _, token = written(backend.set_state(b"state"))
        self._returns_at_once(backend, None)
        written(other.set_state(b"more", found(other)[1]))
        self._returns_at_once(backend, token)
        _, token = found(backend)
        other.put_member("one", b"1", announce=True)
        self._returns_at_once(backend, token, empty)
        listing = backend.members()
        other.put_member("one", b"2", announce=True)
        other.put_member("one", b"3", announce=False)
        self._returns_at_once(backend, token, listing)

    @needs("quiet_heartbeats")
    def test_heartbeats_wake_nobody(self, backend: MembershipBackend, other: MembershipBackend) -> None:
        """Puts that announce nothing end no wait."""
        other.put_member("one", b"", announce=True)
        wakes = start(self._await_state, backend, None, backend.members())
        for number in range(20):
            other.put_member("one", b"%d" % number, announce=False)
            assert is_blocked(wakes, 0.005)
        written(other.set_state(b"state"))
        assert wakes.result(self.patience) <= 10

    def test_all_who_wait_are_told(self, connect: Connect) -> None:
        """One write ends the waits of all clients, and of all threads of one client."""
        clients = [connect() for _ in range(self.racers - 1)]
        waiting = [start(self._await_state, client, None) for client in [*clients, clients[0]]]
        assert all(is_blocked(each, self.moment / self.racers) for each in waiting)
        written(clients[1].set_state(b"state"))
        for each in waiting:
            each.result(self.patience)

    def test_a_wait_holds_up_nothing(self, backend: MembershipBackend) -> None:
        """While one thread waits, others use the same client, and end the wait through it."""
        waiting = start(self._await_state, backend, None)
        assert is_blocked(waiting, self.moment)
        start(backend.put_member, "one", b"1", announce=False).result(self.patience)
        assert "one" in start(backend.members).result(self.patience).records
        assert start(backend.get_state).result(self.patience) is None
        written(start(backend.set_state, b"state").result(self.patience))
        waiting.result(self.patience)

    def test_members_after_close(self, backend: MembershipBackend) -> None:
        """No exception of a client library comes out of a closed backend."""
        backend.close()
        outcome(backend.members)
        outcome(partial(backend.put_member, "one", b"1", announce=True))
        outcome(partial(backend.remove_member, "one"))
        start(outcome, partial(backend.wait_for_change, None, self.moment)).result(self.patience)

    # Faults

    @needs("link")
    def test_waiting_sends_next_to_nothing(self, backend: MembershipBackend, link: Link) -> None:
        """A wait is ended by notification: it does not ask the server over and over."""
        _, token = written(backend.set_state(b"state"))
        members = backend.members().token
        backend.wait_for_change(token, 0.0, members)
        before = link.traffic
        backend.wait_for_change(token, 5 * self.moment, members)
        assert link.traffic - before <= 8

    @needs("link")
    def test_cut_while_waiting(
        self, backend: MembershipBackend, other: MembershipBackend, link: Link
    ) -> None:
        """A wait whose connection is cut raises, or goes on and does not miss what happens then."""
        _, token = written(backend.set_state(b"first"))
        waiting = start(self._await_state, backend, token)
        assert is_blocked(waiting, self.moment)
        link.cut()
        written(self.eventually(lambda: other.set_state(b"second", found(other)[1])))
        error = waiting.exception(self.patience)
        assert error is None or isinstance(error, RendezvousConnectionError), f"got {error!r}"

    @needs("server")
    def test_members_unreachable(self, backend: MembershipBackend, server: Server) -> None:
        """While the server is away, all calls raise `RendezvousConnectionError`."""
        backend.put_member("one", b"1", announce=True)
        calls: list[Callable[[], object]] = [
            backend.members,
            partial(backend.put_member, "one", b"2", announce=True),
            partial(backend.remove_member, "two"),
            partial(backend.wait_for_change, None, 2 * self.patience),
        ]
        with stopped(server):
            for call, future in [(call, start(call)) for call in calls]:
                error = future.exception(self.patience)
                assert isinstance(error, RendezvousConnectionError), f"{call} got {error!r}"
                assert str(error).strip()

    @needs("server")
    def test_restart_while_waiting(
        self, backend: MembershipBackend, other: MembershipBackend, server: Server
    ) -> None:
        """A wait that the server's restart interrupts raises, or is told of what happens then."""
        _, token = written(backend.set_state(b"first"))
        waiting = start(self._await_state, backend, token)
        assert is_blocked(waiting, self.moment)
        with stopped(server):
            pass
        state = self.eventually(other.get_state)
        written(self.eventually(partial(other.set_state, b"second", state and state[1])))
        error = waiting.exception(self.patience)
        assert error is None or isinstance(error, RendezvousConnectionError), f"got {error!r}"
        self.eventually(partial(backend.put_member, "one", b"1", announce=True))
        assert self.eventually(other.members).records["one"] == b"1"

    def _await_state(
        self, backend: MembershipBackend, token: Token | None, members: Members | None = None
    ) -> int:
        """Wait until the state has another token, and return how often the wait ended."""
        for wakes in range(1, 100):
            self._wait(backend, token, members)
            state = backend.get_state()
            if (state[1] if state else None) != token:
                return wakes
        raise AssertionError("it returns again and again though nothing has changed")

    def _await_member(self, backend: MembershipBackend, node: str) -> None:
        """Wait in a run without a state until ``node`` is listed."""
        listing = backend.members()
        while node not in listing.records:
            self._wait(backend, None, listing)
            listing = backend.members()

    def _wait(self, backend: MembershipBackend, token: Token | None, members: Members | None) -> None:
        changed = backend.wait_for_change(token, 2 * self.patience, members and members.token)
        assert changed, "the time ran out though it was not over"

    def _returns_at_once(
        self, backend: MembershipBackend, token: Token | None, members: Members | None = None
    ) -> None:
        waiting = start(backend.wait_for_change, token, 2 * self.patience, members and members.token)
        assert waiting.result(self.patience)

    def _waits_in_vain(self, backend: MembershipBackend, token: Token | None) -> None:
        members = backend.members().token
        began, wakes = time.monotonic(), 0
        while backend.wait_for_change(token, max(0.0, began + self.moment - time.monotonic()), members):
            wakes += 1
            assert wakes <= 5, "it returns again and again though nothing has changed"
        assert time.monotonic() - began > 0.9 * self.moment, "the time has not run out"
