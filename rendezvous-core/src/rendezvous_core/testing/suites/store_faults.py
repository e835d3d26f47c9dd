"""What a store does when its server or its connection is lost."""

from collections.abc import Callable
from functools import partial

import pytest

from rendezvous_core.ports.errors import RendezvousConnectionError
from rendezvous_core.ports.store import Store
from rendezvous_core.testing.suites.base import Link, Server, needs, stopped
from rendezvous_core.testing.suites.checks import ATTEMPTS
from rendezvous_core.testing.suites.store_fixtures import StoreFixtures
from rendezvous_core.testing.suites.threads import is_blocked, start


class StoreFaults(StoreFixtures):
    """Connection errors are told as such, and nothing is done twice."""

    @needs("server")
    def test_unreachable(self, store: Store, server: Server) -> None:
        """While the server is away, all calls raise `RendezvousConnectionError`, which says something."""
        store.set("key", b"value")
        calls: list[Callable[[], object]] = [
            partial(store.get, "key"),
            partial(store.set, "key", b"other"),
            partial(store.add, "number", 1),
            partial(store.append, "key", b"more"),
            partial(store.compare_set, "key", b"", b"other"),
            partial(store.check, ["key"]),
            partial(store.wait, ["other"]),
            partial(store.delete_key, "key"),
            store.num_keys,
            store.list_keys,
        ]
        with stopped(server):
            for call, future in [(call, start(call)) for call in calls]:
                error = future.exception(self.patience)
                assert isinstance(error, RendezvousConnectionError), f"{call} got {error!r}"
                assert str(error).strip()

    @needs("server")
    def test_reconnect(self, store: Store, other: Store, server: Server) -> None:
        """Once the server is back, the same clients go on."""
        store.set("key", b"value")
        with stopped(server):
            pass
        self.eventually(partial(store.set, "key", b"new"))
        assert self.eventually(partial(other.get, "key")) == b"new"

    @needs("server", "durability")
    def test_keys_survive_a_restart(self, store: Store, server: Server) -> None:
        """A restarted server still has the keys."""
        store.set("key", b"value")
        with stopped(server):
            pass
        assert self.eventually(partial(store.check, ["key"]))
        assert self.eventually(partial(store.get, "key")) == b"value"

    @needs("server")
    def test_restart_while_waiting(self, store: Store, other: Store, server: Server) -> None:
        """A read that the server's restart interrupts raises, or is told of what happens then."""
        reading = start(store.get, "key")
        assert is_blocked(reading, self.moment)
        with stopped(server):
            pass
        self.eventually(partial(other.set, "key", b"value"))
        self._answered(reading.exception(self.patience))
        assert self.eventually(partial(store.get, "key")) == b"value"

    @needs("link")
    def test_cut_while_waiting(self, store: Store, other: Store, link: Link) -> None:
        """A read whose connection is cut raises, or goes on and does not miss what happens then."""
        reading = start(store.get, "key")
        assert is_blocked(reading, self.moment)
        link.cut()
        self.eventually(partial(other.set, "key", b"value"))
        self._answered(reading.exception(self.patience))
        assert self.eventually(partial(store.get, "key")) == b"value"

    @needs("link")
    @pytest.mark.parametrize("method", ["add", "append"])
    def test_lost_reply(self, store: Store, link: Link, method: str) -> None:
        """A write that was applied and whose reply was lost is not applied again.

        The caller gets the result, or `RendezvousConnectionError`.
        """
        applied_and_lost = packets = 0
        for number in range(ATTEMPTS):
            key = f"key{number}"
            store.add(key, 1)
            write = partial(store.add, key, 10) if method == "add" else partial(store.append, key, b"1")
            with link.lose_reply(after=packets) as lost:
                error = start(write).exception(self.patience)
            self._answered(error)
            value = self.eventually(partial(store.get, key))
            assert value == b"11" or (error and value == b"1")
            applied_and_lost += value == b"11" and lost.is_set()
            # A server may send the same in more or fewer packets the next time.
            packets = packets + 1 if lost.is_set() else 0
            if applied_and_lost and not packets:
                break
        assert applied_and_lost, "no reply to a write was lost: do the clients connect through the link?"

    @needs("link")
    def test_waiting_sends_next_to_nothing(self, store: Store, link: Link) -> None:
        """A wait is ended by notification: it does not ask the server over and over."""
        waiting = start(store.get, "key")
        assert is_blocked(waiting, self.moment)  # beginning may take more, as where it opens a connection
        before = link.traffic
        assert is_blocked(waiting, 5 * self.moment)
        assert link.traffic - before <= 8, "the client has sent more than eight times while it waited"

    @staticmethod
    def _answered(error: BaseException | None) -> None:
        assert error is None or isinstance(error, RendezvousConnectionError), f"got {error!r}"
