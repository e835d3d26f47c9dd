"""What rounds make of the faults of their server."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from rendezvous_core import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStateError,
    get_rendezvous_handler,
)
from rendezvous_core.testing.suites.handler import assert_round
from rendezvous_core.testing.suites.threads import is_blocked, start, together
from rendezvous_redis import RedisServer
from tests.redis.groups import PATIENCE, ask, until
from tests.support.suspending import suspend

MOMENT = 0.3
DETECTION = 3
"""Seconds without a heartbeat after which a node is taken for dead."""

Create = Callable[[], RendezvousHandler]


@pytest.fixture
def create(own_server: RedisServer, run_id: str) -> Iterator[Create]:
    """Create nodes of one run of two to three nodes, and shut them down at the end."""
    created: list[RendezvousHandler] = []

    def create() -> RendezvousHandler:
        params = RendezvousParameters(
            "redis",
            own_server.endpoint,
            run_id,
            2,
            3,
            last_call_timeout=MOMENT,
            keep_alive_interval=DETECTION / 3,
            keep_alive_max_attempt=3,
        )
        created.append(get_rendezvous_handler(params))
        return created[-1]

    yield create
    together([node.shutdown for node in created], 2 * PATIENCE)


def meet(nodes: list[RendezvousHandler]) -> list[RendezvousInfo]:
    infos = together([node.next_rendezvous for node in nodes], PATIENCE)
    assert_round(infos)
    return infos


def take_in(newcomer: RendezvousHandler, nodes: list[RendezvousHandler]) -> None:
    """Have ``newcomer`` ask, the nodes of the round notice, and all of them meet."""
    joining = start(newcomer.next_rendezvous)
    until(lambda: all(node.num_nodes_waiting() for node in nodes))
    asking = [joining, *(start(node.next_rendezvous) for node in nodes)]
    assert_round([each.result(PATIENCE) for each in asking])


def lose_data(server: RedisServer) -> None:
    """Kill the server, and start one that knows nothing in its place."""
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    server.start()


def test_all_data_is_lost_in_a_round(own_server: RedisServer, create: Create) -> None:
    """The nodes of a round write back what they know of it, go on, and take in others."""
    nodes = [create() for _ in range(2)]
    meet(nodes)
    lose_data(own_server)
    until(lambda: ask(own_server, "KEYS", "*:state"))
    assert [node.num_nodes_waiting() for node in nodes] == [0, 0]
    take_in(create(), nodes)


def test_all_data_is_lost_while_joining(own_server: RedisServer, create: Create) -> None:
    """A node that waits for others begins anew, and meets who comes next."""
    joining = start(create().next_rendezvous)
    assert is_blocked(joining, MOMENT)
    lose_data(own_server)
    assert_round([create().next_rendezvous(), joining.result(PATIENCE)])


def test_pause_of_ten_seconds(own_server: RedisServer, create: Create) -> None:
    """However long the server is silent, no node is taken for dead, and who asks meanwhile comes in."""
    nodes = [create() for _ in range(2)]
    meet(nodes)
    newcomer = create()
    suspend(own_server.pid)
    joining = start(newcomer.next_rendezvous)
    assert is_blocked(joining, 10)
    assert [node.num_nodes_waiting() for node in nodes] == [0, 0]
    os.kill(own_server.pid, signal.SIGCONT)
    until(lambda: all(node.num_nodes_waiting() for node in nodes))
    asking = [joining, *(start(node.next_rendezvous) for node in nodes)]
    infos = [each.result(PATIENCE) for each in asking]
    assert_round(infos)
    assert len(infos) == 3


def test_out_of_memory(own_server: RedisServer, create: Create) -> None:
    """A round outlives the time without memory; who asks for a round is told at once."""
    nodes = [create() for _ in range(2)]
    meet(nodes)
    newcomer, late = create(), create()
    ask(own_server, "CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(RendezvousStateError, match="memory"):
        late.next_rendezvous()
    assert is_blocked(start(until, lambda: any(node.num_nodes_waiting() for node in nodes)), 2 * DETECTION)
    ask(own_server, "CONFIG", "SET", "maxmemory", 0)
    take_in(newcomer, nodes)
