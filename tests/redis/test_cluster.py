"""A run on a cluster: in one slot, which may move, on a node that may die."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import redis

from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousParameters,
    RendezvousStateError,
    get_rendezvous_handler,
    open_runs,
)
from rendezvous_core.registry import create_backend
from rendezvous_core.testing.suites.handler import assert_round
from rendezvous_core.testing.suites.threads import is_blocked, start
from rendezvous_redis import RedisRendezvousBackend, RedisServer, RedisStore
from tests.redis.conftest import OpenRun
from tests.redis.groups import PATIENCE, Cluster, ask, until
from tests.redis.servers import server_of

MOMENT = 0.3


@pytest.fixture(params=["valkey", "redis-8", "redis-6.2"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """Three primaries with a replica each."""
    cluster = Cluster(server_of(request.param), tmp_path, replicas=True)
    yield cluster
    cluster.stop()


def test_one_slot(cluster: Cluster, open_run: OpenRun) -> None:
    """All keys of a run lie in one slot, whatever its id; any node leads there."""
    run = open_run(cluster.endpoint)
    store = RedisStore(run)
    store.set("key", b"value")
    node = cluster.nodes[0]
    assert len({ask(node, "CLUSTER", "KEYSLOT", key) for key in run.keys}) == 1
    for node in cluster.nodes:
        assert RedisStore(open_run(f"cluster://{node.endpoint}")).get("key") == b"value"
        # A plain endpoint leads there too, but knows no other node if that one is away.
        assert RedisStore(open_run(node.endpoint)).get("key") == b"value"


def test_all_runs_are_listed(cluster: Cluster, run_id: str) -> None:
    """Wherever on the cluster they lie, and by which node one comes; one is removed where it lies."""
    names = {f"{run_id}-{number}" for number in range(8)}
    for name in names:
        backend = create_backend(RendezvousParameters("redis", cluster.endpoint, name, 1, 1))
        backend.set_state(b"state")
        backend.close()
    for endpoint in (cluster.endpoint, cluster.nodes[0].endpoint):
        with open_runs(RendezvousParameters("redis", endpoint, "", 1, 1)) as runs:
            assert runs.read().keys() == names
            runs.delete(gone := min(names))
            names.remove(gone)
            assert runs.read().keys() == names


def test_node_dies(cluster: Cluster, open_run: OpenRun, run_id: str) -> None:
    """The death of the node that holds a run disturbs neither its round, nor calls under way."""
    handlers = [
        get_rendezvous_handler(
            RendezvousParameters(
                "redis", cluster.endpoint, run_id, 2, 2, keep_alive_interval=1, keep_alive_max_attempt=10
            )
        )
        for _ in range(2)
    ]
    infos = [each.result(PATIENCE) for each in [start(handler.next_rendezvous) for handler in handlers]]
    assert_round(infos)
    run = open_run(cluster.endpoint)
    until(lambda: replica_has(cluster, run.keys.state))
    reading = start(infos[0].store.get, "later")
    assert is_blocked(reading, MOMENT)
    os.kill(cluster.owner_of(run.keys.state).pid, signal.SIGKILL)
    infos[1].store.set("later", b"came")
    assert reading.result(PATIENCE) == b"came"
    assert [handler.num_nodes_waiting() for handler in handlers] == [0, 0]
    assert_round([each.result(PATIENCE) for each in [start(each.next_rendezvous) for each in handlers]])
    for handler in handlers:
        handler.shutdown()


def test_slot_moves(cluster: Cluster, open_run: OpenRun) -> None:
    """While the slot of a run moves to another node, calls wait for it, and none is lost or repeated."""
    run = open_run(cluster.endpoint)
    backend, store = RedisRendezvousBackend(run), RedisStore(run)
    written = backend.set_state(b"state")
    assert written
    stop = threading.Event()
    numbers: list[int] = []

    def count() -> None:
        while not stop.is_set():
            numbers.append(store.add("number", 1))

    reading, counting = start(store.get, "later"), start(count)
    waiting = start(backend.wait_for_change, written[1], 2 * PATIENCE)
    until(lambda: len(numbers) > 20)
    source = cluster.owner_of(run.keys.state)
    target = next(node for node in cluster.primaries if node is not source)
    move_slot(cluster, source, target, run.keys.state)
    before = len(numbers)
    until(lambda: len(numbers) > before + 20)
    stop.set()
    counting.result(PATIENCE)
    assert numbers == list(range(1, len(numbers) + 1))
    store.set("later", b"came")
    assert reading.result(PATIENCE) == b"came"
    assert written[:2] == backend.get_state()
    assert backend.set_state(b"new", written[1])
    try:
        assert waiting.result(PATIENCE)
    except RendezvousConnectionError:
        assert backend.wait_for_change(written[1], 0)


@pytest.mark.parametrize("kind", ["hostname", "unknown-endpoint"])
def test_nodes_without_names(cluster: Cluster, open_run: OpenRun, kind: str) -> None:
    """Nodes that should tell a name and have none, or are not to tell any, are found all the same."""
    try:
        for node in cluster.nodes:
            ask(node, "CONFIG", "SET", "cluster-preferred-endpoint-type", kind)
    except redis.ResponseError:
        pytest.skip("tells addresses only")
    RedisStore(open_run(cluster.endpoint)).set("key", b"value")
    for node in cluster.primaries:
        assert RedisStore(open_run(node.endpoint)).get("key") == b"value"


def test_refusals(cluster: Cluster, shared_server: RedisServer, open_run: OpenRun) -> None:
    """What nodes refuse is told at once, and so is a server that is no cluster."""
    with pytest.raises(RendezvousStateError, match="correct them") as caught:
        open_run(cluster.endpoint, user="somebody", password="s3cret")
    assert "s3cret" not in str(caught.value)
    for node in cluster.nodes:
        ask(node, "ACL", "SETUSER", "node", "on", ">s3cret", "~*", "+@all", "-cluster")
    with pytest.raises(RendezvousStateError, match="grant what the README"):
        open_run(cluster.endpoint, user="node", password="s3cret")
    with pytest.raises(RendezvousStateError, match="is no cluster"):
        open_run(f"cluster://{shared_server.endpoint}")


def move_slot(cluster: Cluster, source: RedisServer, target: RedisServer, key: str) -> None:
    """Move the slot of ``key`` as administrators do, key by key."""
    slot = ask(source, "CLUSTER", "KEYSLOT", key)
    here, there = (ask(node, "CLUSTER", "MYID") for node in (source, target))
    ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", here)
    ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", there)
    while keys := cast("list[bytes]", ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 1)):
        ask(source, "MIGRATE", target.host, target.port, keys[0], 0, 10_000)
    for node in (target, source, *cluster.primaries):
        ask(node, "CLUSTER", "SETSLOT", slot, "NODE", there)


def replica_has(cluster: Cluster, key: str) -> bool:
    """Whether the replica of the node that holds ``key`` has got it, by the number of its keys."""
    owner = cluster.owner_of(key)
    replica = cluster.nodes[cluster.nodes.index(owner) + 3]
    return ask(owner, "DBSIZE") == ask(replica, "DBSIZE") != 0
