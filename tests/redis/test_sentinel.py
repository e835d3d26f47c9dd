"""A run behind Sentinels: failovers in every phase, and what replication loses."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rendezvous_core import (
    RendezvousClosedError,
    RendezvousError,
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStateError,
    RendezvousTimeoutError,
    get_rendezvous_handler,
)
from rendezvous_core.protocol.node import Joined
from rendezvous_core.testing.suites.handler import assert_round
from rendezvous_core.testing.suites.threads import is_blocked, start, together
from rendezvous_redis import RedisServer, RedisStore
from tests.redis.conftest import OpenRun
from tests.redis.groups import PATIENCE, Sentinels, ask, until
from tests.redis.servers import server_of

MOMENT = 0.3

Create = Callable[..., RendezvousHandler]
FailOver = Callable[[Sentinels], None]


@pytest.fixture(params=["valkey", pytest.param("redis-6.2", marks=pytest.mark.thorough)])
def sentinels(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sentinels]:
    group = Sentinels(server_of(request.param), tmp_path)
    yield group
    group.stop()


@pytest.fixture
def create(sentinels: Sentinels, run_id: str) -> Iterator[Create]:
    """Create nodes of one run, and shut them down at the end."""
    created: list[RendezvousHandler] = []

    def create(min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
        params = RendezvousParameters(
            "redis",
            sentinels.endpoint,
            run_id,
            min_nodes,
            max_nodes,
            join_timeout=2 * PATIENCE,
            close_timeout=PATIENCE / 2,
            keep_alive_interval=1,
            keep_alive_max_attempt=10,
            **{"last_call_timeout": MOMENT, **options},
        )
        created.append(get_rendezvous_handler(params))
        return created[-1]

    yield create
    together([node.shutdown for node in created], 2 * PATIENCE)


def switch(sentinels: Sentinels) -> None:
    """An administrator asks for it: the former primary becomes the replica."""
    sentinels.fail_over()


def crash(sentinels: Sentinels) -> None:
    """The primary dies."""
    former = sentinels.primary
    os.kill(former.pid, signal.SIGKILL)
    until(lambda: sentinels.primary is not former)


FAILOVERS = pytest.mark.parametrize("fail_over", [switch, crash])


def meet(nodes: list[RendezvousHandler]) -> list[RendezvousInfo]:
    infos = together([node.next_rendezvous for node in nodes], PATIENCE)
    assert_round(infos)
    return infos


@FAILOVERS
def test_while_joining(sentinels: Sentinels, create: Create, fail_over: FailOver) -> None:
    """Nodes that wait for others go on waiting, and meet those that come afterwards."""
    joining = [start(create(3, 3).next_rendezvous) for _ in range(2)]
    assert all(is_blocked(each, MOMENT) for each in joining)
    fail_over(sentinels)
    joining.append(start(create(3, 3).next_rendezvous))
    assert_round([each.result(PATIENCE) for each in joining])


@FAILOVERS
def test_in_the_last_call(sentinels: Sentinels, create: Create, fail_over: FailOver) -> None:
    """A last call ends though the server changes."""
    joining = [start(create(2, 4, last_call_timeout=5).next_rendezvous) for _ in range(2)]
    assert all(is_blocked(each, MOMENT) for each in joining)
    fail_over(sentinels)
    assert_round([each.result(PATIENCE) for each in joining])


@FAILOVERS
def test_while_running(sentinels: Sentinels, create: Create, fail_over: FailOver) -> None:
    """A round goes on undisturbed; afterwards nodes come, are noticed, and a next round forms."""
    nodes = [create(2, 3) for _ in range(2)]
    meet(nodes)
    fail_over(sentinels)
    assert [node.num_nodes_waiting() for node in nodes] == [0, 0]
    newcomer = create(2, 3)
    joining = start(newcomer.next_rendezvous)
    until(lambda: all(node.num_nodes_waiting() for node in nodes))
    asking = [joining, *(start(node.next_rendezvous) for node in nodes)]
    assert_round([each.result(PATIENCE) for each in asking])


def test_while_round_follows_round(sentinels: Sentinels, create: Create) -> None:
    """Nodes that ask again and again agree on each round, whatever news the failovers cut off."""
    nodes = [create(3, 3) for _ in range(3)]
    rounds: dict[str, list[Joined]] = {}

    def take_part(node: Any) -> None:
        while True:
            node.next_rendezvous()
            joined = node.joined
            rounds.setdefault(joined.round_id, []).append(joined)
            node.wait_for_membership_change(MOMENT)

    playing = [start(take_part, node) for node in nodes]
    for _ in range(3):
        switch(sentinels)
        known = len(rounds)
        until(lambda known=known: len(rounds) > known + 2)  # type: ignore[misc]
    nodes[0].set_closed()
    for each in playing:
        with pytest.raises(RendezvousClosedError):
            each.result(PATIENCE)
    *whole, last = rounds.values()
    assert all(sorted(each.rank for each in seats) == [0, 1, 2] for seats in whole)
    assert len({each.rank for each in last}) == len(last)
    assert [len({each.round for each in seats}) for seats in rounds.values()] == [1] * len(rounds)


@FAILOVERS
def test_while_closing(sentinels: Sentinels, create: Create, fail_over: FailOver) -> None:
    """Closing succeeds, and stays so for all, though the server changes meanwhile."""
    nodes = [create(2, 3) for _ in range(2)]
    meet(nodes)
    closing = start(nodes[0].set_closed)
    fail_over(sentinels)
    closing.result(PATIENCE)
    until(nodes[1].is_closed)
    with pytest.raises(RendezvousError):
        nodes[1].next_rendezvous()


@FAILOVERS
def test_the_store(sentinels: Sentinels, open_run: OpenRun, fail_over: FailOver) -> None:
    """Calls that are under way, those that block too, are answered by the new primary."""
    store, other = (RedisStore(open_run(sentinels.endpoint)) for _ in range(2))
    stop = threading.Event()
    numbers: list[int] = []

    def count() -> None:
        while not stop.is_set():
            numbers.append(store.add("number", 1))

    reading = start(other.get, "later")
    counting = start(count)
    until(lambda: len(numbers) > 100)
    fail_over(sentinels)

    def is_told() -> bool:
        store.set("later", b"came")  # again: what the former primary takes before it is left is lost
        return reading.done()

    until(is_told)
    assert reading.result(PATIENCE) == b"came"
    before = len(numbers)
    until(lambda: len(numbers) > before + 100)
    stop.set()
    counting.result(PATIENCE)
    assert other.add("number", 0) == numbers[-1]


@pytest.mark.parametrize("known", ["joining", "nothing"])
def test_lost_writes(sentinels: Sentinels, create: Create, known: str, run_id: str) -> None:
    """A running round holds though the new primary knows nothing of it; then a next one forms."""
    nodes = [create(2, 3) for _ in range(2)]
    if known == "nothing":
        detach(sentinels)
    early = start(nodes[0].next_rendezvous)
    assert is_blocked(early, MOMENT)
    if known == "joining":
        until(lambda: knows_state(sentinels.replica))
        detach(sentinels)
    infos = [nodes[1].next_rendezvous(), early.result(PATIENCE)]
    assert_round(infos)
    replica = sentinels.replica
    assert knows_state(replica) == (known == "joining")
    crash(sentinels)
    # The participants write back what they have seen.
    until(lambda: b"complete" in state(replica))
    assert [node.num_nodes_waiting() for node in nodes] == [0, 0]
    joining = start(create(2, 3).next_rendezvous)
    until(lambda: all(node.num_nodes_waiting() for node in nodes))
    asking = [joining, *(start(node.next_rendezvous) for node in nodes)]
    again = [each.result(PATIENCE) for each in asking]
    assert_round(again)
    again[0].store.set("key", b"value")
    assert again[1].store.get("key") == b"value"


def test_lost_close(sentinels: Sentinels, create: Create) -> None:
    """A run that was closed is closed again by those who saw it, though its end was lost."""
    nodes = [create(2, 3) for _ in range(2)]
    meet(nodes)
    until(lambda: b"complete" in state(sentinels.replica))
    detach(sentinels)
    replica = sentinels.replica
    nodes[0].set_closed()
    until(nodes[1].is_closed)
    crash(sentinels)
    nodes[0].set_closed()
    until(lambda: b"closed" in state(replica))


def test_lost_values(sentinels: Sentinels, create: Create) -> None:
    """Who waits for a value that was lost is told which one, in time; the round can be formed again."""
    nodes = [create(2, 2) for _ in range(2)]
    infos = meet(nodes)
    detach(sentinels)
    infos[0].store.set("key", b"value")
    crash(sentinels)
    infos[1].store.set_timeout(2)
    with pytest.raises(RendezvousTimeoutError, match="key"):
        infos[1].store.get("key")
    infos = meet(nodes)
    infos[0].store.set("key", b"value")
    assert infos[1].store.get("key") == b"value"


def test_several_sentinels(binary: Path, tmp_path: Path, open_run: OpenRun) -> None:
    """The Sentinels that are named last are asked where the first are away."""
    group = Sentinels(binary, tmp_path, count=3)
    try:
        store = RedisStore(open_run(group.endpoint))
        store.set("key", b"value")
        group.stop_sentinel(0)
        crash(group)
        store.set("key", b"new")
        assert RedisStore(open_run(group.endpoint)).get("key") == b"new"
    finally:
        group.stop()


def test_refusals(sentinels: Sentinels, shared_server: RedisServer, open_run: OpenRun) -> None:
    """A name that no Sentinel knows is told at once, a password that they refuse, and who is none."""
    with pytest.raises(RendezvousStateError, match="no master named 'other'"):
        open_run(sentinels.endpoint.replace("/main", "/other"))
    with pytest.raises(RendezvousStateError, match="Sentinel"):
        open_run(sentinels.endpoint, sentinel_password="wrong", sentinel_user="somebody")
    with pytest.raises(RendezvousStateError, match="is no Sentinel"):
        open_run(f"sentinel://{shared_server.endpoint}/main")


def test_no_permission(sentinels: Sentinels, open_run: OpenRun) -> None:
    """Who may not ask a server whether it is the primary is told so when a run is opened."""
    for server in (sentinels.first, sentinels.second):
        ask(server, "ACL", "SETUSER", "node", "on", ">s3cret", "~*", "+@all", "-role")
    with pytest.raises(RendezvousStateError, match=r"grant what the README.*role"):
        open_run(sentinels.endpoint, user="node", password="s3cret")


def detach(sentinels: Sentinels) -> None:
    """Let the replica get nothing any more."""
    ask(sentinels.replica, "REPLICAOF", "NO", "ONE")


def state(server: RedisServer) -> bytes:
    """The only state that ``server`` knows."""
    keys = ask(server, "KEYS", "*:state")
    assert isinstance(keys, list)
    found = ask(server, "HGET", keys[0], "data") if keys else b""
    assert isinstance(found, bytes)
    return found


def knows_state(server: RedisServer) -> bool:
    return bool(state(server))
