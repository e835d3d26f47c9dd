"""The contract of `RendezvousBackend` as tests."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from rendezvous_core.ports.backend import RendezvousBackend, Token
from rendezvous_core.testing.suites.backend_faults import BackendFaults
from rendezvous_core.testing.suites.backend_histories import BackendHistories
from rendezvous_core.testing.suites.base import needs, required
from rendezvous_core.testing.suites.checks import (
    BINARY,
    MIB,
    SIMILAR,
    count_up,
    found,
    outcome,
    refused,
    written,
)
from rendezvous_core.testing.suites.threads import together


class BackendSuite(BackendFaults, BackendHistories):
    """A register that changes only by compare-and-set, and never lies about it.

    Supply `backend_factory`; supply `server`, `link` and `corrupt`, or declare that they are lacking, and
    ``process_factory`` where pickle does not take the `backend_factory`. May also lack ``durability`` and
    ``large_values``.
    """

    @pytest.fixture
    def backend_factory(self) -> Callable[[str], RendezvousBackend]:
        """Required: a function that opens one more client of the run id it is given.

        The suite closes what it opened.
        """
        required("backend_factory", "a function from a run id to a new backend, one client of one server")

    @pytest.fixture
    def connect(self, backend_factory: Callable[[str], Any], run_id: str) -> Iterator[Callable[..., Any]]:
        """Open clients, of the run of this test where no other is named, and close them at the end."""
        opened: list[RendezvousBackend] = []

        def connect(run: str = run_id) -> RendezvousBackend:
            backend: RendezvousBackend = backend_factory(run)
            opened.append(backend)
            return backend

        yield connect
        for backend in opened:
            backend.close()

    @pytest.fixture
    def backend(self, connect: Callable[..., Any]) -> Any:
        """A client."""
        return connect()

    @pytest.fixture
    def other(self, connect: Callable[..., Any]) -> Any:
        """Another client of the same run."""
        return connect()

    # Reading and writing

    def test_name(self, backend: RendezvousBackend, other: RendezvousBackend) -> None:
        """The name is some text, the same for all clients."""
        assert isinstance(backend.name, str)
        assert backend.name
        assert backend.name == other.name

    def test_server_facts(self, backend: RendezvousBackend) -> None:
        """What the server tells people has a name on either side; it may tell nothing."""
        facts = backend.server_facts()
        assert facts is None or (facts.server and facts.client and facts.precision >= 0)

    def test_there_is_no_state_at_first(self, backend: RendezvousBackend) -> None:
        """``get_state`` returns ``None`` before the first write."""
        assert backend.get_state() is None

    def test_first_write(self, backend: RendezvousBackend, other: RendezvousBackend) -> None:
        """Without a token a state is written where there is none; all clients see it, with its token."""
        state, token = written(backend.set_state(b"first"))
        assert state == b"first"
        assert token is not None
        assert backend.get_state() == (b"first", token)
        assert found(other)[0] == b"first"

    def test_no_token_does_not_overwrite(self, backend: RendezvousBackend, other: RendezvousBackend) -> None:
        """Without a token an existing state stays; the caller is told what stands, with its token."""
        _, token = written(backend.set_state(b"first"))
        assert backend.set_state(b"second") == (b"first", token, False)
        assert backend.set_state(b"second", None) == (b"first", token, False)
        assert refused(other.set_state(b"second"))[0] == b"first"
        assert backend.get_state() == (b"first", token)

    def test_current_token_writes(self, backend: RendezvousBackend, other: RendezvousBackend) -> None:
        """With the current token, read or returned, a write succeeds and yields another token."""
        _, first = written(backend.set_state(b"first"))
        _, second = written(backend.set_state(b"second", first))
        assert second != first
        _, read = found(other)
        written(other.set_state(b"third", read))
        assert found(backend)[0] == b"third"

    def test_stale_token_does_not_write(self, backend: RendezvousBackend, other: RendezvousBackend) -> None:
        """A token that was current once does not write, be the write between one's own or another's."""
        _, first = written(backend.set_state(b"first"))
        _, second = written(backend.set_state(b"second", first))
        assert backend.set_state(b"late", first) == (b"second", second, False)
        written(other.set_state(b"third", found(other)[1]))
        assert refused(backend.set_state(b"late", second))[0] == b"third"
        assert found(other)[0] == b"third"

    def test_token_of_a_refusal_writes(self, backend: RendezvousBackend, other: RendezvousBackend) -> None:
        """A refused writer can go on with the token that the refusal told."""
        written(other.set_state(b"first"))
        _, token = refused(backend.set_state(b"second"))
        written(backend.set_state(b"second", token))
        assert found(other)[0] == b"second"

    @pytest.mark.parametrize("token", ["foreign", b"foreign", 0, -1, 2**62, ("foreign", 1)], ids=repr)
    def test_foreign_token_does_not_write(self, backend: RendezvousBackend, token: Token) -> None:
        """What was never a token is never current: with a state, it is refused; without, ``None``."""
        assert backend.set_state(b"late", token) is None
        assert backend.get_state() is None
        state, current = written(backend.set_state(b"first"))
        assert backend.set_state(b"late", token) == (state, current, False)
        assert backend.get_state() == (state, current)

    def test_token_of_another_run_does_not_write(self, connect: Callable[..., Any], run_id: str) -> None:
        """The token of one run is foreign to another: nothing is written, ``None`` tells of no state."""
        here, there = connect(), connect(f"{run_id}-other")
        _, token = written(there.set_state(b"theirs"))
        _, token = written(there.set_state(b"theirs again", token))
        assert here.set_state(b"late", token) is None
        assert here.get_state() is None

    def test_token_is_not_current_again(self, backend: RendezvousBackend) -> None:
        """A token stays stale even when the bytes return that it was given for."""
        _, first = written(backend.set_state(b"a"))
        _, second = written(backend.set_state(b"b", first))
        _, third = written(backend.set_state(b"a", second))
        _, fourth = written(backend.set_state(b"a", third))
        for stale in (first, second, third):
            assert backend.set_state(b"late", stale) == (b"a", fourth, False)

    def test_every_client_sees_every_write(self, connect: Callable[..., Any]) -> None:
        """A write that was acknowledged to one client is seen by the next read of any."""
        clients = [connect() for _ in range(3)]
        written(clients[0].set_state(b"-1"))
        for number, (writer, reader) in enumerate(itertools.permutations(clients, 2)):
            written(writer.set_state(b"%d" % number, found(writer)[1]))
            assert found(reader)[0] == b"%d" % number
            assert found(writer)[0] == b"%d" % number

    @pytest.mark.parametrize("state", [b"", b"\0", BINARY, b" \n", b"x" * 65536], ids=len)
    def test_any_bytes_are_a_state(
        self, backend: RendezvousBackend, other: RendezvousBackend, state: bytes
    ) -> None:
        """States are opaque bytes; the empty one is a state too."""
        assert written(backend.set_state(state))[0] == state
        assert found(other)[0] == state
        assert type(found(other)[0]) is bytes
        written(other.set_state(b"next", found(other)[1]))

    @needs("large_values")
    def test_large_state(self, backend: RendezvousBackend, other: RendezvousBackend) -> None:
        """A state of 1 MiB is written and read like any other."""
        written(backend.set_state(MIB))
        assert found(other)[0] == MIB

    def test_runs_are_apart(self, connect: Callable[..., Any], run_id: str) -> None:
        """Nothing of one run is seen in another, however similar their ids are."""
        runs = [connect(run_id + suffix) for suffix in SIMILAR]
        for number, run in enumerate(runs):
            assert run.get_state() is None
            written(run.set_state(b"%d" % number))
        assert [found(run)[0] for run in runs] == [b"%d" % number for number in range(len(runs))]

    # Races

    def test_one_of_many_racers_wins(self, connect: Callable[..., Any]) -> None:
        """Of clients that write with the same token at once exactly one wins; the rest see its state."""
        clients = [connect() for _ in range(self.racers)]
        token: Token = None
        for turn in range(10):
            attempts = [
                partial(client.set_state, b"%d/%d" % (turn, number), token)
                for number, client in enumerate(clients)
            ]
            results = together(attempts, self.patience)
            winners = [result for result in results if result and result[2]]
            assert len(winners) == 1, results
            state, token, _ = winners[0]
            assert all(result and result[0] == state for result in results), results
            assert clients[0].get_state() == (state, token)

    def test_no_update_is_lost(self, connect: Callable[..., Any]) -> None:
        """Clients that count up in the state, each by compare-and-set, lose no count."""
        clients = [connect() for _ in range(self.racers)]
        written(clients[0].set_state(b"0"))
        together([partial(count_up, client, 10) for client in clients], self.patience)
        assert found(clients[0])[0] == b"%d" % (10 * self.racers)

    def test_threads_share_a_client(self, backend: RendezvousBackend) -> None:
        """One client serves several threads at once, and loses none of their updates."""
        written(backend.set_state(b"0"))
        together([partial(count_up, backend, 10)] * self.racers, self.patience)
        assert found(backend)[0] == b"%d" % (10 * self.racers)

    # Closing

    def test_close_twice(self, backend: RendezvousBackend) -> None:
        """Closing again is no error."""
        written(backend.set_state(b"first"))
        backend.close()
        backend.close()

    def test_close_concerns_one_client(self, backend: RendezvousBackend, other: RendezvousBackend) -> None:
        """Closing one client leaves the other clients, and the state, as they are."""
        written(backend.set_state(b"first"))
        backend.close()
        written(other.set_state(b"second", found(other)[1]))

    def test_use_after_close(self, backend: RendezvousBackend) -> None:
        """No exception of a client library comes out of a closed backend."""
        backend.close()
        outcome(backend.get_state)
        outcome(lambda: backend.set_state(b"late"))
