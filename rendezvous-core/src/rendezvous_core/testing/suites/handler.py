"""The contract of `RendezvousHandler` as tests, over real threads."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from rendezvous_core.ports.errors import (
    RendezvousClosedError,
    RendezvousGracefulExitError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from rendezvous_core.ports.handler import RendezvousHandler, RendezvousInfo
from rendezvous_core.testing.suites.base import Server, Suite, needs, required, stopped
from rendezvous_core.testing.suites.threads import is_blocked, start, together

if TYPE_CHECKING:
    from rendezvous_core.dynamic.handler import DynamicRendezvousHandler

CreateNode = Callable[..., RendezvousHandler]


class HandlerSuite(Suite):
    """Nodes that come, go and crash, and form one round after the other.

    Supply `handler_factory`; supply `server`, or declare that it is lacking. Override `leave` and `crash`
    for a handler that is no `DynamicRendezvousHandler`. May also lack ``leave``, ``crash``,
    ``spares``, ``settings`` and ``large_groups``.
    """

    keep_alive_interval: ClassVar[float] = 0.5
    """Seconds between heartbeats where a node is to die; it is dead after four of them."""

    @pytest.fixture
    def handler_factory(self) -> CreateNode:
        """Required: ``handler_factory(run_id, min_nodes, max_nodes, **options)`` creates one more node.

        The options are those of `RendezvousParameters`. The suite shuts the handlers down.
        """
        required("handler_factory", "a function (run_id, min_nodes, max_nodes, **options) to a new handler")

    @pytest.fixture
    def leave(self) -> Callable[..., bool]:
        """How a node leaves its round, with ``done=True`` after its work was done."""

        def leave(handler: RendezvousHandler, done: bool = False) -> bool:
            return cast("DynamicRendezvousHandler", handler).leave(done=done)

        return leave

    @pytest.fixture
    def crash(self) -> Callable[[RendezvousHandler], object]:
        """How a node falls silent, as if its process had been killed."""

        def crash(handler: RendezvousHandler) -> None:
            cast("DynamicRendezvousHandler", handler)._driver.stop(float("inf"))

        return crash

    @pytest.fixture
    def create(self, handler_factory: CreateNode, run_id: str) -> Iterator[CreateNode]:
        """Create nodes, of the run of this test where no other is named, and shut them down at the end."""
        handlers: list[RendezvousHandler] = []

        def create(
            min_nodes: int, max_nodes: int, *, run_id: str = run_id, **options: Any
        ) -> RendezvousHandler:
            options = {
                "join_timeout": 10 * self.patience,
                "last_call_timeout": 10 * self.patience,
                "close_timeout": self.patience,
                # All are this machine's, and each is another.
                "local_addr": f"127.1.{len(handlers) // 250}.{len(handlers) % 250 + 1}",
                **options,
            }
            handlers.append(handler_factory(run_id, min_nodes, max_nodes, **options))
            return handlers[-1]

        yield create
        if handlers:
            together([handler.shutdown for handler in handlers], 3 * self.patience)

    # Rounds

    def test_names(self, create: CreateNode, run_id: str) -> None:
        """A handler knows its run and its backend."""
        handler = create(1, 1)
        assert handler.get_run_id() == run_id
        assert handler.get_backend()

    def test_one_node_is_a_group(self, create: CreateNode) -> None:
        """A round of one node needs nobody else."""
        self._meet([create(1, 1)])

    @pytest.mark.parametrize("nodes", [2, 8])
    def test_group(self, create: CreateNode, nodes: int) -> None:
        """All get another rank, the same store and the same bootstrap address."""
        self._share_a_store(self._meet([create(nodes, nodes) for _ in range(nodes)]))

    @needs("large_groups")
    def test_large_group(self, create: CreateNode) -> None:
        """Thirty-two nodes meet as two do."""
        self._share_a_store(self._meet([create(32, 32) for _ in range(32)]))

    def test_too_few_nodes_wait(self, create: CreateNode) -> None:
        """Nobody returns before ``min_nodes`` are there."""
        nodes = [create(3, 3) for _ in range(3)]
        early = [start(node.next_rendezvous) for node in nodes[:2]]
        assert is_blocked(early[0], self.moment)
        assert not early[1].done()
        last = nodes[2].next_rendezvous()
        ranks = {last.rank, *(each.result(self.patience).rank for each in early)}
        assert ranks == {0, 1, 2}

    def test_full_group_does_not_wait(self, create: CreateNode) -> None:
        """With ``max_nodes`` the round is complete at once, however long the last call is."""
        self._meet([create(1, 3, last_call_timeout=10 * self.patience) for _ in range(3)])

    def test_last_call(self, create: CreateNode) -> None:
        """With ``min_nodes`` the round is complete after the last call."""
        self._meet([create(2, 3, last_call_timeout=2 * self.moment) for _ in range(2)])

    def test_rounds(self, create: CreateNode) -> None:
        """Nodes that ask again form another round, whose store is empty."""
        nodes = [create(3, 3) for _ in range(3)]
        for _ in range(4):
            infos = self._meet(nodes)
            assert not any(info.store.check(["key"]) for info in infos)
            infos[0].store.set("key", b"")
            for info in infos:
                info.store.wait(["key"], self.patience)

    def test_newcomer(self, create: CreateNode) -> None:
        """Participants are told that somebody waits; once they ask again, all are in."""
        nodes = [create(2, 3, last_call_timeout=5 * self.moment) for _ in range(2)]
        self._meet(nodes)
        assert [node.num_nodes_waiting() for node in nodes] == [0, 0]
        newcomer = create(2, 3, last_call_timeout=5 * self.moment)
        joining = start(newcomer.next_rendezvous)
        for node in nodes:
            self.until(partial(self._is_called, node))
        assert [node.num_nodes_waiting() for node in nodes] == [1, 1]
        assert not joining.done()
        asking = [joining, *(start(node.next_rendezvous) for node in nodes)]
        assert_round([each.result(self.patience) for each in asking])

    @needs("spares", "leave")
    def test_spare(self, create: CreateNode, leave: Callable[..., bool]) -> None:
        """Who comes to a full round waits, disturbs nobody, and steps in when a participant leaves."""
        nodes = [create(2, 2) for _ in range(2)]
        self._meet(nodes)
        standing_by = start(create(2, 2).next_rendezvous)
        assert is_blocked(standing_by, self.moment)
        assert [node.num_nodes_waiting() for node in nodes] == [0, 0]
        assert leave(nodes[0])
        self.until(partial(self._is_called, nodes[1]))
        again = start(nodes[1].next_rendezvous)
        assert_round([each.result(self.patience) for each in (standing_by, again)])

    @needs("spares")
    def test_spare_of_a_closed_run(self, create: CreateNode) -> None:
        """A spare is not needed any more when the run is closed: that is no failure."""
        nodes = [create(2, 2) for _ in range(2)]
        self._meet(nodes)
        standing_by = start(create(2, 2).next_rendezvous)
        assert is_blocked(standing_by, self.moment)
        nodes[0].set_closed()
        error = standing_by.exception(self.patience)
        assert isinstance(error, RendezvousGracefulExitError), f"got {error!r}"

    def test_runs_are_apart(self, create: CreateNode, run_id: str) -> None:
        """Runs on one server have rounds, stores and ends of their own."""
        here = [create(2, 2) for _ in range(2)]
        there = [create(2, 2, run_id=f"{run_id}/2") for _ in range(2)]
        asking = [start(node.next_rendezvous) for node in (*here, *there)]
        infos = [each.result(self.patience) for each in asking]
        assert_round(infos[:2])
        assert_round(infos[2:])
        infos[0].store.set("key", b"here")
        assert infos[1].store.get("key") == b"here"
        assert not infos[2].store.check(["key"])
        here[0].set_closed()
        self._meet(there)
        assert not there[0].is_closed()

    # The end

    def test_close_while_others_wait(self, create: CreateNode) -> None:
        """Closing ends the waiting of others, and no later ask succeeds."""
        waiting, closing, late = create(3, 3), create(3, 3), create(3, 3)
        joining = start(waiting.next_rendezvous)
        assert is_blocked(joining, self.moment)
        closing.set_closed()
        error = joining.exception(self.patience)
        assert isinstance(error, RendezvousClosedError), f"got {error!r}"
        for node in (waiting, closing, late):
            with pytest.raises(RendezvousClosedError):
                node.next_rendezvous()
            self.until(node.is_closed)

    def test_close_while_others_work(self, create: CreateNode) -> None:
        """Participants learn that the run was closed; closing again is no error."""
        nodes = [create(2, 2) for _ in range(2)]
        self._meet(nodes)
        assert not any(node.is_closed() for node in nodes)
        nodes[0].set_closed()
        self.until(nodes[1].is_closed)
        nodes[1].set_closed()
        with pytest.raises(RendezvousClosedError):
            nodes[1].next_rendezvous()

    def test_shutdown(self, create: CreateNode) -> None:
        """Shutting one handler down closes the run for all."""
        nodes = [create(2, 2) for _ in range(2)]
        self._meet(nodes)
        assert nodes[0].shutdown() is True
        self.until(nodes[1].is_closed)
        assert nodes[1].shutdown() is True

    @needs("leave")
    def test_leave(self, create: CreateNode, leave: Callable[..., bool]) -> None:
        """Who leaves does not close the run: the others are told, and it may come again."""
        nodes = [create(2, 2) for _ in range(2)]
        self._meet(nodes)
        assert leave(nodes[0])
        self.until(partial(self._is_called, nodes[1]))
        assert not nodes[1].is_closed()
        self._meet(nodes)

    @needs("leave")
    def test_leave_while_waiting(self, create: CreateNode, leave: Callable[..., bool]) -> None:
        """Who leaves before the round is complete is not in it."""
        leaving, staying, last = create(2, 2), create(2, 2), create(2, 2)
        joining = start(leaving.next_rendezvous)
        assert is_blocked(joining, self.moment)
        assert leave(leaving)
        assert joining.exception(self.patience) is not None
        self._meet([staying, last])

    @needs("leave")
    def test_leave_when_done(self, create: CreateNode, leave: Callable[..., bool]) -> None:
        """Who is done calls nobody to a new round; when all are done the run is closed."""
        nodes = [create(2, 2) for _ in range(2)]
        self._meet(nodes)
        assert leave(nodes[0], done=True)
        self.never(partial(self._is_called, nodes[1]))
        assert leave(nodes[1], done=True)
        late = create(2, 2)
        self.until(late.is_closed)
        with pytest.raises(RendezvousClosedError):
            late.next_rendezvous()

    # Failures

    def test_timeout(self, create: CreateNode) -> None:
        """Who waits too long is told who is there; nobody counts on a node that gave up."""
        node = create(2, 2, join_timeout=6 * self.moment, local_addr="the-lonely-one.test")
        error = start(node.next_rendezvous).exception(self.patience)
        assert isinstance(error, RendezvousTimeoutError), f"got {error!r}"
        assert "the-lonely-one.test" in str(error)
        self._meet([create(2, 2) for _ in range(2)])

    @needs("settings")
    def test_settings_differ(self, create: CreateNode) -> None:
        """A node whose ``min_nodes`` or ``max_nodes`` differ is told so, and disturbs nobody."""
        brisk = {"keep_alive_interval": self.keep_alive_interval}
        joining = start(create(2, 2, **brisk).next_rendezvous)
        assert is_blocked(joining, self.moment)
        error = start(create(2, 3, **brisk).next_rendezvous).exception(self.patience)
        assert isinstance(error, RendezvousStateError), f"got {error!r}"
        assert "max_nodes" in str(error)
        assert_round([create(2, 2, **brisk).next_rendezvous(), joining.result(self.patience)])

    @needs("crash")
    @pytest.mark.parametrize("victim", [0, 1], ids=["first", "last"])
    def test_death(
        self, create: CreateNode, crash: Callable[[RendezvousHandler], object], victim: int
    ) -> None:
        """The survivors of a participant that falls silent are told, and go on without it."""
        mortal = {
            "keep_alive_interval": self.keep_alive_interval,
            "keep_alive_max_attempt": 4,
            "last_call_timeout": self.moment,
        }
        nodes = [create(2, 3, **mortal) for _ in range(3)]
        ranks = [info.rank for info in self._meet(nodes)]
        dead = ranks.index(2 * victim)
        crash(nodes[dead])
        survivors = [node for number, node in enumerate(nodes) if number != dead]
        for node in survivors:
            self.until(partial(self._is_called, node))
        self._meet(survivors)

    @needs("server")
    def test_restart_of_the_server(self, create: CreateNode, server: Server) -> None:
        """A round survives the restart of its server, and later nodes still come in."""
        nodes = [create(2, 3, last_call_timeout=5 * self.moment) for _ in range(2)]
        self._meet(nodes)
        with stopped(server):
            pass
        newcomer = start(create(2, 3, last_call_timeout=5 * self.moment).next_rendezvous)
        for node in nodes:
            self.until(partial(self._is_called, node))
        asking = [newcomer, *(start(node.next_rendezvous) for node in nodes)]
        assert_round([each.result(2 * self.patience) for each in asking])

    @staticmethod
    def _is_called(node: RendezvousHandler) -> bool:
        return node.num_nodes_waiting() > 0

    def _meet(self, nodes: Sequence[RendezvousHandler]) -> list[RendezvousInfo]:
        """Have all ask at the same time, and check the round that they form."""
        infos = together([node.next_rendezvous for node in nodes], 2 * self.patience)
        assert_round(infos)
        return infos

    def _share_a_store(self, infos: Sequence[RendezvousInfo]) -> None:
        for info in infos:
            info.store.set(f"rank/{info.rank}", b"%d" % info.rank)
        keys = [f"rank/{rank}" for rank in range(len(infos))]
        for info in infos:
            assert info.store.multi_get(keys) == [b"%d" % rank for rank in range(len(infos))]
        addresses = {
            (info.bootstrap_store_info.master_addr, info.bootstrap_store_info.master_port) for info in infos
        }
        assert len(addresses) == 1


def assert_round(infos: Sequence[RendezvousInfo]) -> None:
    """Check that ``infos`` are those of all the nodes of one round."""
    assert sorted(info.rank for info in infos) == list(range(len(infos)))
    assert {info.world_size for info in infos} == {len(infos)}
