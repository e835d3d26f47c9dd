"""How long records live, and that waits miss nothing and end."""

import time
from collections.abc import Callable
from typing import ClassVar

from rendezvous_core.ports.backend import MembershipBackend, Token
from rendezvous_core.ports.errors import RendezvousConnectionError
from rendezvous_core.testing.suites.base import EFFORT, Suite
from rendezvous_core.testing.suites.checks import found, written
from rendezvous_core.testing.suites.threads import is_blocked, start

TURNS = 25
"""How often a node and its coordinator answer each other."""

_LONG = 10


class MembershipLife(Suite):
    """What a coordinator counts on: silence is told by its own clock, and news by a wait."""

    silence: ClassVar[float] = 7.0 * EFFORT
    """Seconds for which one node is silent while others are not; its record has to stay.

    By default a node may be silent for 15 s before it is dead. To wait for that long is left to longer runs.
    """

    def test_records_outlive_silence(self, backend: MembershipBackend, other: MembershipBackend) -> None:
        """While a group lives, neither its state nor the record of a node that is silent expires."""
        backend.put_member("silent", b"last words", announce=True)
        state, token = written(backend.set_state(b"state"))
        deadline = time.monotonic() + self.silence
        beat = 0
        while (left := deadline - time.monotonic()) > 0:
            beat += 1
            other.put_member("lively", b"%d" % beat, announce=False)
            records = other.members().records
            assert records.get("silent") == b"last words", "the record of a silent node has gone"
            assert records["lively"] == b"%d" % beat
            other.wait_for_change(token, min(left, 0.5))
        assert backend.get_state() == (state, token)

    def test_close_ends_a_wait(
        self, backend: MembershipBackend, connect: Callable[..., MembershipBackend]
    ) -> None:
        """``close`` in one thread ends every wait of the backend in others; those of other clients go on."""
        unconcerned = connect()
        _, token = written(backend.set_state(b"state"))
        members = backend.members().token
        ending = [start(self._wait_on, backend, token, each) for each in (None, members)]
        lasting = start(self._see_more, unconcerned)
        for waiting in (*ending, lasting):
            assert is_blocked(waiting, self.moment)
        start(backend.close).result(self.patience)
        for waiting in ending:
            error = waiting.exception(self.patience)
            assert error is None or isinstance(error, RendezvousConnectionError), f"got {error!r}"
        assert is_blocked(lasting, self.moment)
        written(unconcerned.set_state(b"more", found(unconcerned)[1]))
        lasting.result(self.patience)

    def test_waits_miss_nothing(self, backend: MembershipBackend, other: MembershipBackend) -> None:
        """Of a node and a coordinator that answer each other at once, each is told of every answer.

        News comes just when a wait begins: between a look and a watch nothing may get lost.
        """
        written(backend.set_state(b"0"))
        playing = [start(self._announce, backend), start(self._reply, other)]
        for each in playing:
            each.result(2 * self.patience)

    def _wait_on(self, backend: MembershipBackend, token: Token, members: Token | None) -> None:
        """Wait though nothing changes: a wait may end by mistake, but not over and over."""
        for _ in range(100):
            if not backend.wait_for_change(token, _LONG * self.patience, members):
                return

    def _see_more(self, backend: MembershipBackend) -> None:
        state, token = found(backend)
        while state != b"more":
            assert backend.wait_for_change(token, _LONG * self.patience), "a new state was missed"
            state, token = found(backend)

    def _announce(self, backend: MembershipBackend) -> None:
        for turn in range(1, TURNS + 1):
            state, token = found(backend)
            backend.put_member("node", b"%d" % turn, announce=True)
            while state != b"%d" % turn:
                assert backend.wait_for_change(token, self.patience), "a new state was missed"
                state, token = found(backend)

    def _reply(self, backend: MembershipBackend) -> None:
        for turn in range(1, TURNS + 1):
            _, token = found(backend)
            listing = backend.members()
            while listing.records.get("node") != b"%d" % turn:
                woken = backend.wait_for_change(token, self.patience, listing.token)
                assert woken, "an announcement was missed"
                listing = backend.members()
            written(backend.set_state(b"%d" % turn, token))
