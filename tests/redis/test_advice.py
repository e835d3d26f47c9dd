"""Every row of the table of advice fits what real servers say."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from redis.exceptions import RedisError, ResponseError

from rendezvous_core import RendezvousConnectionError, RendezvousError, RendezvousStateError
from rendezvous_redis import RedisServer, RedisStore
from rendezvous_redis._advice import TABLE, Advice
from rendezvous_redis._errors import explain
from rendezvous_redis._replies import number
from tests.redis.conftest import OpenRun
from tests.redis.groups import PATIENCE, ask
from tests.redis.refusals import SCENES, Scene, ToldElsewhereError
from tests.redis.servers import VARIANTS, server_of

FIRST_OF_TLS = next(number for number, row in enumerate(TABLE) if "TLS" in row.says.pattern)
MODERN = ("protected mode", "LOADING")
"""What an old server says under conditions that a test cannot make."""

CASES = [("valkey", row) for row in TABLE] + [
    ("redis-6.2", row) for row in TABLE[:FIRST_OF_TLS] if not any(name in row.says.pattern for name in MODERN)
]


def named(value: object) -> str:
    return value.says.pattern if isinstance(value, Advice) else str(value)


@pytest.mark.parametrize(("variant", "row"), CASES, ids=named)
def test_advice(variant: str, row: Advice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server says leads to its row, and to an error of the right kind that names the fix."""
    with ExitStack() as stack:
        caught: Exception
        try:
            SCENES[row.says.pattern](Scene(variant, stack, tmp_path, monkeypatch))
        except RedisError as error:
            caught = explain(error, "server")
        except (RendezvousError, ToldElsewhereError) as error:
            caught = error
        else:
            pytest.fail("nothing was refused")
    assert row.text in str(caught)
    if not isinstance(caught, ToldElsewhereError):
        assert isinstance(caught, RendezvousConnectionError if row.passes else RendezvousStateError)


def test_no_scene_is_left_over() -> None:
    """What is no longer in the table is not tried any more."""
    assert {row.says.pattern for row in TABLE} == set(SCENES)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [2, 20])
def test_large_values(variant: str, size: int, open_run: OpenRun) -> None:
    """A value that is too large is told as such, though the server hangs up in the middle of it."""
    with RedisServer(binary=server_of(variant), config=["proto-max-bulk-len 1mb"]) as server:
        store = RedisStore(open_run(server.endpoint))
        for call in (store.set, store.append, store.queue_push):
            with pytest.raises(RendezvousStateError, match="proto-max-bulk-len"):
                call("key", bytes(size << 20))
        store.set("key", b"small")
        assert store.get("key") == b"small"


def test_what_the_server_says_to_a_write_counts_after_a_rest(open_run: OpenRun) -> None:
    """However long ago the reply before was due."""
    with RedisServer(config=["proto-max-bulk-len 1mb"]) as server:
        run = open_run(server.endpoint)
        run.client.call(number, "HLEN", run.keys.values, patience=PATIENCE)
        (link,) = run.client._idle
        link._reader.begin(-60.0)
        with pytest.raises(ResponseError, match="bulk length"):
            link.exchange(("SET", run.keys.values, bytes(20 << 20)))


def test_killed_connections(own_server: RedisServer, open_run: OpenRun) -> None:
    """Connections that an administrator kills are made anew, and nobody is advised to use TLS."""
    run = open_run(own_server.endpoint)
    store = RedisStore(run)
    for turn in range(1, 6):
        ask(own_server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert store.add("number", 1) == turn
    ask(own_server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(RendezvousConnectionError) as caught:
        run.client.call(number, "HLEN", run.keys.values, patience=0)
    assert "TLS" not in str(caught.value)
