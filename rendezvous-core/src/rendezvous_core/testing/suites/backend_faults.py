"""What a backend does when its server, its connection or its data is lost."""

from collections.abc import Callable
from functools import partial

import pytest

from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousStateError
from rendezvous_core.testing.suites.base import Link, Server, Suite, missing, needs, stopped
from rendezvous_core.testing.suites.checks import ATTEMPTS, found, outcome, refused, written
from rendezvous_core.testing.suites.threads import start


class BackendFaults(Suite):
    """Errors are told as what they are, and no write is mistaken for another's."""

    @pytest.fixture
    def corrupt(self) -> Callable[[str], object]:
        """Optional: a function that damages what the server holds as the state of a run id."""
        missing("corrupt", "a function that damages the state of the run id it is given")

    @needs("server")
    def test_unreachable(self, backend: RendezvousBackend, server: Server) -> None:
        """While the server is away, calls raise `RendezvousConnectionError`, which says something."""
        _, token = written(backend.set_state(b"first"))
        with stopped(server):
            reading, writing = start(backend.get_state), start(backend.set_state, b"second", token)
            for error in (reading.exception(self.patience), writing.exception(self.patience)):
                assert isinstance(error, RendezvousConnectionError), f"got {error!r}"
                assert str(error).strip()

    @needs("server")
    def test_close_while_unreachable(self, connect: Callable[..., RendezvousBackend], server: Server) -> None:
        """Closing needs no server."""
        backend = connect()
        written(backend.set_state(b"first"))
        with stopped(server):
            start(backend.close).result(self.patience)

    @needs("server")
    def test_reconnect(self, backend: RendezvousBackend, other: RendezvousBackend, server: Server) -> None:
        """Once the server is back, the same clients go on; what they find is the old state or none."""
        _, token = written(backend.set_state(b"first"))
        with stopped(server):
            pass
        after = self.eventually(backend.get_state)
        assert after is None or after[0] == b"first"
        written(self.eventually(lambda: backend.set_state(b"second", after[1] if after else None)))
        assert self.eventually(partial(found, other))[0] == b"second"
        assert refused(backend.set_state(b"late", token))[0] == b"second"

    @needs("server", "durability")
    def test_state_survives_a_restart(self, backend: RendezvousBackend, server: Server) -> None:
        """A restarted server still has the state, under the same token."""
        state, token = written(backend.set_state(b"first"))
        with stopped(server):
            pass
        assert self.eventually(backend.get_state) == (state, token)

    @needs("link")
    def test_cut_connection(self, backend: RendezvousBackend, link: Link) -> None:
        """A client whose connection was cut connects again; meanwhile it raises rendezvous errors at most."""
        _, token = written(backend.set_state(b"first"))
        link.cut()
        outcome(backend.get_state)
        assert self.eventually(backend.get_state) == (b"first", token)

    @needs("link")
    def test_lost_reply(self, backend: RendezvousBackend, link: Link) -> None:
        """A write that was applied and whose reply was lost is no conflict.

        The writer gets told that it wrote, or `RendezvousConnectionError`; never that another's
        state stands in its way. Whatever was lost, reading and writing go on.
        """
        state, token = written(backend.set_state(b"0"))
        applied_and_lost = packets = 0
        for number in range(1, ATTEMPTS):
            new = b"%d" % number
            with link.lose_reply(after=packets) as lost:
                writing = start(backend.set_state, new, token)
                error = writing.exception(self.patience)
            assert error is None or isinstance(error, RendezvousConnectionError), f"got {error!r}"
            if error is None:
                written(writing.result())
            state, token = self.eventually(partial(found, backend))
            assert state == new or (error and state == b"%d" % (number - 1))
            applied_and_lost += state == new and lost.is_set()
            # A server may send the same in more or fewer packets the next time.
            packets = packets + 1 if lost.is_set() else 0
            if applied_and_lost and not packets:
                break
            if state != new:
                state, token = written(self.eventually(partial(backend.set_state, new, token)))
        assert applied_and_lost, "no reply to a write was lost: do the clients connect through the link?"

    @needs("corrupt")
    def test_corruption(
        self, backend: RendezvousBackend, run_id: str, corrupt: Callable[[str], object]
    ) -> None:
        """What cannot be read as a state raises `RendezvousStateError`, and is not overwritten."""
        _, token = written(backend.set_state(b"first"))
        corrupt(run_id)
        with pytest.raises(RendezvousStateError):
            backend.get_state()
        result = outcome(lambda: backend.set_state(b"second", token))
        assert result is None or not result[2]
        with pytest.raises(RendezvousStateError):
            backend.get_state()
