"""What servers refuse: each a clear error at once, or at the latest when patience is over."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from rendezvous_core import RendezvousConnectionError, RendezvousStateError
from rendezvous_redis import RedisRendezvousBackend, RedisServer, RedisStore
from tests.redis.conftest import OpenRun
from tests.redis.groups import Sentinels, ask, until
from tests.redis.servers import VARIANTS, server_of
from tests.redis.using import use

PASSWORD = "s3cret"
README = Path(__file__).parents[2] / "rendezvous-redis" / "README.md"


@pytest.fixture
def guarded(binary: Path) -> Iterator[RedisServer]:
    """A server that asks for a password."""
    with RedisServer(binary=binary, password=PASSWORD) as server:
        yield server


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("given", [None, "wrong"])
def test_wrong_password(variant: str, given: str | None, open_run: OpenRun) -> None:
    """A missing or wrong password is told at once, without the password."""
    with (
        RedisServer(binary=server_of(variant), password=PASSWORD) as server,
        pytest.raises(RendezvousStateError, match="password") as caught,
    ):
        open_run(server.endpoint, password=given)
    assert server.endpoint in str(caught.value)
    assert "wrong" not in str(caught.value).replace("wrong number", "").replace("WRONGPASS", "")


def test_password_changed_meanwhile(guarded: RedisServer, open_run: OpenRun) -> None:
    """Who connects anew with a password that was changed is told so; nobody tries for ever."""
    store = RedisStore(open_run(guarded.endpoint, password=PASSWORD))
    store.set("key", "value")
    ask(guarded, "CONFIG", "SET", "requirepass", "changed", password=PASSWORD)
    with redis.Redis(guarded.host, guarded.port, password="changed") as admin:
        admin.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(RendezvousStateError, match="password"):
        store.get("key")


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_to_grant(variant: str, open_run: OpenRun) -> None:
    """A user with the permissions that the README lists can do everything."""
    with RedisServer(binary=server_of(variant)) as server:
        command = re.search(r"^ACL SETUSER [^`]*", README.read_text(), re.MULTILINE)
        assert command
        ask(server, *command[0].replace(">secret", f">{PASSWORD}").split())
        use(open_run(server.endpoint, user="node", password=PASSWORD))
        assert not ask(server, "ACL", "LOG")


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_permission(variant: str, open_run: OpenRun) -> None:
    """Whatever the user may not do of what the README lists is told by name when a run is opened."""
    command = re.search(r"^ACL SETUSER [^`]*", README.read_text(), re.MULTILINE)
    assert command
    granted = re.findall(r"\+(\w+)(?= |$)", command[0])
    elsewhere = {"role"}  # is asked for by Sentinels' clients only
    with RedisServer(binary=server_of(variant)) as server:
        for name in sorted({*granted} - elsewhere):
            ask(server, "ACL", "SETUSER", name, "on", f">{PASSWORD}", "~*", "+@all", f"-{name}")
            with pytest.raises(RendezvousStateError, match=f"(?i)grant what the README.*{name}"):
                open_run(server.endpoint, user=name, password=PASSWORD, db=1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_permission_for_keys(variant: str, open_run: OpenRun) -> None:
    """Keys that the user may not use are told when a run is opened."""
    with RedisServer(binary=server_of(variant)) as server:
        ask(server, "ACL", "SETUSER", "node", "on", f">{PASSWORD}", "~other*", "+@all")
        with pytest.raises(RendezvousStateError, match="grant"):
            open_run(server.endpoint, user="node", password=PASSWORD)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["EVAL", "EVALSHA", "XADD", "HGETALL"])
def test_renamed_command(variant: str, name: str, open_run: OpenRun) -> None:
    """A command that the server does not offer is told by name when a run is opened."""
    with (
        RedisServer(binary=server_of(variant), config=[f'rename-command {name} ""']) as server,
        pytest.raises(RendezvousStateError, match=f"rename-command.*{name}"),
    ):
        open_run(server.endpoint)


@pytest.mark.parametrize("variant", VARIANTS)
def test_wrong_type(variant: str, open_run: OpenRun) -> None:
    """Something else under a key of ours is told, with what to do; it is not overwritten."""
    with RedisServer(binary=server_of(variant)) as server:
        run = open_run(server.endpoint)
        backend, store = RedisRendezvousBackend(run), RedisStore(run)
        for key in run.keys:
            ask(server, "SET", key, "foreign")
        calls: list[Callable[[], object]] = [
            backend.get_state,
            lambda: backend.set_state(b"state"),
            lambda: backend.put_member("node", b"record", announce=True),
            lambda: backend.remove_member("node"),
            backend.members,
            lambda: backend.wait_for_change(None, 30),
            lambda: store.set("key", b"value"),
            lambda: store.get("key"),
            lambda: store.add("key", 1),
            lambda: store.append("key", b"value"),
            lambda: store.compare_set("key", b"", b"value"),
            lambda: store.check(["key"]),
            lambda: store.wait(["key"]),
            lambda: store.delete_key("key"),
            store.num_keys,
            store.list_keys,
            lambda: store.queue_push("queue", b"item"),
            lambda: store.queue_pop("queue"),
            lambda: store.queue_len("queue"),
        ]
        for call in calls:
            with pytest.raises(RendezvousStateError, match="something else"):
                call()
        assert {ask(server, "GET", key) for key in run.keys} == {b"foreign"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_out_of_memory(variant: str, open_run: OpenRun) -> None:
    """A server without memory refuses writes as such, half-writes nothing, and is used again later."""
    with RedisServer(binary=server_of(variant)) as server:
        run = open_run(server.endpoint)
        backend, store = RedisRendezvousBackend(run), RedisStore(run)
        written = backend.set_state(b"before")
        store.set("key", b"before")
        ask(server, "CONFIG", "SET", "maxmemory", 1)
        for call in (
            lambda: backend.set_state(b"after", written and written[1]),
            lambda: backend.put_member("node", b"record", announce=True),
            lambda: store.set("key", b"after"),
            lambda: store.add("number", 1),
        ):
            with pytest.raises(RendezvousStateError, match="memory"):
                call()
        assert backend.get_state() == (written and written[:2])
        assert store.get("key") == b"before"
        assert not backend.members().records
        ask(server, "CONFIG", "SET", "maxmemory", 0)
        assert store.add("number", 1) == 1
        backend.put_member("node", b"record", announce=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_read_only_replica(variant: str, own_server: RedisServer, open_run: OpenRun) -> None:
    """A replica in the place of its primary is told as such before anybody relies on it."""
    config = [f"replicaof {own_server.host} {own_server.port}"]
    with RedisServer(binary=server_of(variant), config=config) as replica:
        if variant == "valkey":
            until(lambda: Sentinels.is_in_sync(replica))
        with pytest.raises(RendezvousConnectionError, match="replica"):
            open_run(replica.endpoint, connect_timeout=0.5)


def test_no_such_database(shared_server: RedisServer, open_run: OpenRun) -> None:
    """A database that is not there is told at once."""
    with pytest.raises(RendezvousStateError, match="no such database"):
        open_run(shared_server.endpoint, db=99)


def test_databases_are_apart(shared_server: RedisServer, open_run: OpenRun) -> None:
    """The same run in another database is another run, and so is it under another prefix."""
    stores = [
        RedisStore(open_run(shared_server.endpoint, **options))
        for options in ({}, {"db": 2}, {"key_prefix": "other"})
    ]
    stores[0].set("key", b"value")
    assert [store.check(["key"]) for store in stores] == [True, False, False]


def test_socket_of_the_file_system(binary: Path, tmp_path: Path, open_run: OpenRun) -> None:
    """A server on the same machine needs no port."""
    path = tmp_path / "a socket"
    with RedisServer(binary=binary, config=[f'unixsocket "{path}"']):
        use(open_run(f"unix://{quote(str(path))}?db=3"))


def test_too_many_clients(binary: Path, open_run: OpenRun) -> None:
    """A server that has no place left says so."""
    with (
        RedisServer(binary=binary, config=["maxclients 1"]) as server,
        redis.Redis(port=server.port) as other,
    ):
        other.ping()
        with pytest.raises(RendezvousConnectionError, match="max number of clients"):
            open_run(server.endpoint, connect_timeout=0.5)
        other.close()
        assert open_run(server.endpoint)


def test_no_redis_at_all(open_run: OpenRun) -> None:
    """Something that answers in another protocol is told to be no Redis."""

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        with pytest.raises(RendezvousStateError, match="does not speak the protocol"):
            open_run(f"127.0.0.1:{listener.getsockname()[1]}", read_timeout=1.0)
