"""A client in torch's own protocol."""

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from torch.distributed import TCPStore

from rendezvous_c10d import _client
from rendezvous_c10d._c10d_store import C10dStore
from rendezvous_c10d._client import Client, ProtocolError
from rendezvous_core import RendezvousConnectionError, RendezvousTimeoutError
from rendezvous_core.ports.endpoint import Endpoint
from rendezvous_core.testing.suites.threads import is_blocked, start

PATIENCE = 60.0


@pytest.fixture(params=[True, False], ids=["libuv", "legacy"])
def store(request: pytest.FixtureRequest) -> TCPStore:
    """A store of each of the two servers that torch has."""
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, use_libuv=request.param)


@pytest.fixture
def client(store: TCPStore) -> Iterator[Client]:
    client = Client(Endpoint(store.host, store.port), PATIENCE)
    yield client
    client.close()


def test_calls(store: TCPStore, client: Client) -> None:
    """What is written is sent with the next question, in order."""
    client.set("one", b"1")
    client.append("one", b"\0")
    client.append("größer/als eins", b"2")
    assert client.check(["one", "größer/als eins"])
    assert not client.check(["one", "none"])
    assert store.get("one") == b"1\0"
    assert client.compare_set("one", b"wrong", b"new") == b"1\0"
    assert client.compare_set("one", b"1\0", b"new") == b"new"
    assert client.add("sum", 5) == 5
    assert client.add("sum", -(2**40)) == 5 - 2**40
    assert client.num_keys() == store.num_keys()
    assert [client.delete_key("one"), client.delete_key("one")] == [True, False]


def test_many_questions_at_once(client: Client) -> None:
    keys = [f"key{number}" for number in range(1000)]
    for key in keys[::2]:
        client.set(key, 100 * key.encode())
    values = client.look(keys, b"absent")
    assert values == [b"absent" if number % 2 else 100 * key.encode() for number, key in enumerate(keys)]


def test_an_interrupted_call_leaves_no_answer_behind(store: TCPStore) -> None:
    """A signal's handler may raise anywhere: the next call must not take that answer for its own."""
    ours = C10dStore(store)
    ours.set("key", "value")

    def interrupted(client: Client) -> None:
        client._send(_client._NUM_KEYS)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ours._connections.call(interrupted)
    assert ours.get("key") == b"value"


def test_a_forked_child_has_connections_of_its_own(store: TCPStore) -> None:
    ours = C10dStore(store)
    ours.set("key", "parent's")
    child = os.fork()
    if child == 0:
        try:
            for number in range(100):
                ours.set("child", str(number))
        finally:
            ours.close()
            os._exit(0)
    for _ in range(100):
        assert ours.get("key") == b"parent's"
    os.waitpid(child, 0)
    assert ours.get("child") == b"99"
    assert ours.get("key") == b"parent's"


def test_those_who_wait_for_a_key_do_not_wake_each_other(
    store: TCPStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits once, however many look at the key meanwhile."""
    waits = threading.Semaphore(0)
    wait = Client.wait

    def counted(client: Client, keys: Sequence[str], seconds: float) -> bool:
        waits.release()
        return wait(client, keys, seconds)

    monkeypatch.setattr(Client, "wait", counted)
    ours = C10dStore(store)
    waiting = [start(ours.get, "key") for _ in range(8)]
    assert all(waits.acquire(timeout=PATIENCE) for _ in waiting)
    assert all(is_blocked(each, 0.05) for each in waiting)
    ours.set("key", "value")
    assert [each.result(PATIENCE) for each in waiting] == [b"value"] * 8
    assert not waits.acquire(blocking=False)


def test_keys_that_exist(store: TCPStore, client: Client) -> None:
    store.set("one", "1")
    store.set("größer/als eins", "2")
    assert client.wait(["one", "größer/als eins"], PATIENCE)


def test_the_time_runs_out_and_the_connection_goes_on(store: TCPStore, client: Client) -> None:
    store.set("one", "1")
    assert not client.wait(["one", "two"], 0.02)
    assert not client.wait(["two"], 0)
    store.set("two", "2")
    assert client.wait(["one", "two"], PATIENCE)


def test_a_key_that_comes_in_the_last_moment(store: TCPStore, client: Client) -> None:
    """The answer and the cancellation may cross; the next wait must take neither for its own."""
    crossed = set()
    with ThreadPoolExecutor() as pool:
        for number in range(200):
            key, seconds = f"key{number}", 0.0002 * (number % 10)
            writing = pool.submit(store.set, key, "value")
            crossed.add(client.wait([key], seconds))
            writing.result(PATIENCE)
            assert not client.wait([f"missing{number}"], 0)
            assert client.wait([key], PATIENCE)
    assert True in crossed


def test_closing_ends_the_wait(client: Client) -> None:
    waiting = start(client.wait, ["key"], PATIENCE)
    assert is_blocked(waiting, 0.1)
    client.close()
    assert isinstance(waiting.exception(PATIENCE), OSError)


def test_closing_the_store_ends_its_waits(store: TCPStore) -> None:
    ours = C10dStore(store)
    waiting = start(ours.wait, ["key"], PATIENCE)
    assert is_blocked(waiting, 0.1)
    ours.close()
    error = waiting.exception(PATIENCE)
    assert isinstance(error, RendezvousConnectionError)
    assert "was closed" in str(error)


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        Client(Endpoint(*silent.getsockname()), 0.05)


def test_another_protocol(
    store: TCPStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Should torch change its protocol, waits are made of looks."""
    monkeypatch.setattr(_client, "_PING", b"\xee")
    with pytest.raises(ProtocolError):
        Client(Endpoint(store.host, store.port), 0.3)
    ours = C10dStore(store, 0.3)
    waiting = start(ours.wait, ["key"], PATIENCE)
    assert is_blocked(waiting, 0.1)
    ours.set("key", "value")
    waiting.result(PATIENCE)
    with pytest.raises(RendezvousTimeoutError):
        ours.wait(["missing"], 0.05)
    assert "instead of waiting" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
