"""What a run leaves on its server, and for how long."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from rendezvous_core import RendezvousParameters, RendezvousTimeoutError, get_rendezvous_handler
from rendezvous_core.testing.suites.threads import is_blocked, start, together
from rendezvous_redis import RedisRendezvousBackend, RedisRun, RedisServer, RedisStore, plugin
from tests.redis.conftest import OpenRun
from tests.redis.groups import PATIENCE, ask, until

TTL = 100.0


@pytest.fixture
def run(own_server: RedisServer, open_run: OpenRun) -> RedisRun:
    """The only run on its server."""
    return open_run(own_server.endpoint, ttl=TTL)


def names(server: RedisServer) -> set[str]:
    """What the keys are called behind the run."""
    return {key.decode().partition("}:")[2] for key in cast("list[bytes]", ask(server, "KEYS", "*"))}


def fill(run: RedisRun) -> None:
    """Have every kind of key come to be."""
    backend, store = RedisRendezvousBackend(run), RedisStore(run)
    backend.set_state(b"state")
    view = store.view("view")
    backend.put_member("node", b"record", announce=True)
    view.set("key", b"value")
    waiting = start(store.get, "awaited")
    assert is_blocked(waiting, 0.2)
    store.set("key", b"value")
    store.queue_push("queue", b"item")


def test_every_key_expires(own_server: RedisServer, run: RedisRun) -> None:
    """Nothing stays for ever, and nothing for longer than it was told to."""
    fill(run)
    waiting = start(RedisStore(run).get, "other")
    assert is_blocked(waiting, 0.2)
    RedisStore(run).set("awaited", b"")
    tag = run.keys.state.removesuffix(":state")
    left = {name: ask(own_server, "TTL", f"{tag}:{name}") for name in names(own_server)}
    # What was made to check permissions is there for a second.
    assert -1 not in left.values()
    left = {name: seconds for name, seconds in left.items() if not name.startswith("check:")}
    assert {name.partition(":")[0] for name in left} == {*run.keys._fields, "call"}
    assert len(left) > len(run.keys) + 1
    assert all(0 < cast("int", seconds) <= TTL for seconds in left.values()), left


def test_heartbeats_keep_a_run(own_server: RedisServer, run: RedisRun) -> None:
    """Each heartbeat lets all keys of the run live on, those of its store too."""
    fill(run)
    for key in run.keys:
        ask(own_server, "EXPIRE", key, 5)
    RedisRendezvousBackend(run).put_member("node", b"record", announce=False)
    assert all(cast("int", ask(own_server, "TTL", key)) > 5 for key in run.keys)


def test_a_run_expires(own_server: RedisServer, open_run: OpenRun) -> None:
    """A run that nobody takes part in any more leaves nothing behind."""
    run = open_run(own_server.endpoint, ttl=1.0, read_timeout=1.0)
    fill(run)
    run.close()
    until(lambda: not names(own_server) - {name for name in names(own_server) if ":" in name})


def test_streams_do_not_grow(own_server: RedisServer, run: RedisRun) -> None:
    """However often state and members change, one entry each tells of it."""
    backend = RedisRendezvousBackend(run)
    written = backend.set_state(b"state")
    for _ in range(500):
        assert written
        written = backend.set_state(b"state", written[1])
        backend.put_member("node", b"record", announce=True)
    assert ask(own_server, "XLEN", run.keys.news) == ask(own_server, "XLEN", run.keys.bell) == 1
    assert all(cast("int", ask(own_server, "MEMORY", "USAGE", key)) < 20_000 for key in run.keys[:4])


def test_what_was_used_up_is_gone(own_server: RedisServer, run: RedisRun) -> None:
    """Queues that were emptied, and waits that ended one way or the other, leave nothing behind."""
    store = RedisStore(run)
    for _ in range(3):
        store.queue_push("queue", b"item")
    for _ in range(3):
        store.queue_pop("queue")
    waiting = start(store.get, "key")
    assert is_blocked(waiting, 0.2)
    with pytest.raises(RendezvousTimeoutError):
        store.wait(["key", "never"], 0.1)
    with pytest.raises(RendezvousTimeoutError):
        store.queue_pop("queue", timeout=0.1)
    assert ask(own_server, "HKEYS", run.keys.waiters) == [b"kkey"]
    store.set("key", b"value")
    assert waiting.result(PATIENCE) == b"value"
    assert store.delete_key("key")
    assert not names(own_server) & {"queues", "waiters", "values"}


def test_views_that_nobody_holds(own_server: RedisServer, open_run: OpenRun) -> None:
    """What was kept under a view, as in a past round, is forgotten while the run lives on."""
    run = open_run(own_server.endpoint, ttl=2.0)
    backend, store = RedisRendezvousBackend(run), RedisStore(run)
    held, dropped = store.view("round/2"), store.view("round/1")
    for view in (store, held, dropped):
        view.set("key", b"value")
        view.queue_push("queue", b"one")
        view.queue_push("queue", b"two")
        assert view.queue_pop("queue") == b"one"

    def beat() -> None:
        backend.put_member("node", b"record", announce=False)

    beat()
    del view, dropped

    def is_forgotten() -> bool:
        beat()
        return not store.check(["round/1/key"])

    until(is_forgotten)
    assert store.get("key") == held.get("key") == b"value"
    assert sorted(store.list_keys()) == ["key", "round/2/key"]
    assert [store.queue_len(f"{prefix}queue") for prefix in ("", "round/1/", "round/2/")] == [1, 0, 1]
    assert held.queue_pop("queue") == b"two"
    assert cast("int", ask(own_server, "HLEN", run.keys.queues)) == 3
    assert ask(own_server, "ZCARD", run.keys.views) == 1


def test_past_rounds_are_forgotten(
    own_server: RedisServer, run_id: str, open_run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a round has stored is gone soon after the next one, while the run lives on for hours."""
    monkeypatch.setattr(plugin, "_LEAST_VIEW_TTL", 1.0)
    params = RendezvousParameters(
        "redis", own_server.endpoint, run_id, 2, 2, keep_alive_interval=0.2, keep_alive_max_attempt=3
    )
    nodes = [get_rendezvous_handler(params) for _ in range(2)]
    names: list[str] = []
    for number in range(4):
        infos = together([node.next_rendezvous for node in nodes], PATIENCE)
        infos[0].store.set(f"key{number}", b"value")
        assert infos[1].store.get(f"key{number}") == b"value"
        names.append(f"key{number}")
    store = RedisStore(open_run(own_server.endpoint))

    def left() -> set[str]:
        return {key.rpartition("/")[2] for key in store.list_keys()} & set(names)

    until(lambda: left() == {names[-1]})
    assert infos[1].store.get(names[-1]) == b"value"
    together([node.shutdown for node in nodes], PATIENCE)


def test_threads_share_connections(own_server: RedisServer, run: RedisRun) -> None:
    """A thousand threads that wait need one connection more than one that does not."""
    store = RedisStore(run)
    waiting = [start(store.get, f"key/{number % 500}") for number in range(1000)]
    until(lambda: cast("int", ask(own_server, "HLEN", run.keys.waiters)) == 500)
    until(lambda: len(cast("bytes", ask(own_server, "CLIENT", "LIST")).splitlines()) <= 20)
    with counted_commands(own_server) as counted:
        for number in range(500):
            store.set(f"key/{number}", b"%d" % number)
        for number, each in enumerate(waiting):
            assert each.result(PATIENCE) == b"%d" % (number % 500)
    # 500 writes, 1000 reads of what has come, and the mail.
    assert counted[0] < 3500


@contextmanager
def counted_commands(server: RedisServer) -> Iterator[list[int]]:
    """Count the commands that clients send meanwhile, without those inside of scripts."""

    def count() -> int:
        stats = cast("dict[str, dict[str, int]]", ask(server, "INFO", "commandstats"))
        outer = ("eval", "evalsha", "hmget", "xread", "hexists")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in outer)

    counted = [-count()]
    yield counted
    counted[0] += count()
