"""What is particular to members and a store inside one bare register."""

import threading
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rendezvous_core import RendezvousConnectionError, RendezvousStateError, RendezvousTimeoutError, Token
from rendezvous_core.over_register import register as register_module
from rendezvous_core.over_register.backend import RegisterBackend
from rendezvous_core.over_register.store import RegisterStore
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer
from rendezvous_core.testing.suites.threads import is_blocked, start, together
from tests.core.stores.parts import PATIENCE, Register, eventually


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def register(server: MemoryServer) -> Register:
    return Register(server)


@pytest.fixture
def backend(register: Register) -> RegisterBackend:
    return RegisterBackend(register)


@pytest.fixture
def other(server: MemoryServer) -> RegisterBackend:
    return RegisterBackend(Register(server))


def first(backend: RegisterBackend) -> Token:
    """Write a first state, and return its token."""
    standing = backend.set_state(b"first")
    assert standing is not None
    assert standing[2]
    return standing[1]


def test_it_is_called_as_the_register_is(backend: RegisterBackend) -> None:
    assert backend.name == "register"


def test_what_others_put_does_not_make_a_token_stale(
    backend: RegisterBackend, other: RegisterBackend
) -> None:
    token = first(backend)
    other.put_member("node", b"1", announce=True)
    RegisterStore(other).set("key", b"1")
    standing = backend.set_state(b"second", token)
    assert standing is not None
    assert standing[2]
    assert other.members().records == {"node": b"1"}
    assert RegisterStore(backend).get("key") == b"1"


@pytest.mark.parametrize("conflict", ["present", "none", "stale"])
def test_it_does_not_rely_on_what_a_refused_write_returns(server: MemoryServer, conflict: str) -> None:
    racers = [RegisterBackend(Register(server, conflict)) for _ in range(12)]
    standing = together([partial(racer.set_state, b"mine") for racer in racers], PATIENCE)
    assert sum(found is not None and found[2] for found in standing) == 1
    assert len({found and found[1] for found in standing}) == 1
    stores = [RegisterStore(racer) for racer in racers]
    assert sorted(together([partial(store.add, "sum", 1) for store in stores], PATIENCE)) == list(
        range(1, 13)
    )


@pytest.mark.parametrize("overtaken", [False, True], ids=["alone", "overtaken"])
def test_a_write_whose_reply_was_lost_is_done_once(
    register: Register, backend: RegisterBackend, other: RegisterBackend, overtaken: bool
) -> None:
    store = RegisterStore(backend)
    store.add("sum", 1)
    register.lost_replies = 1
    if overtaken:
        # Others write between the lost reply and the look at what became of the write.
        read = register.get_state
        reads = iter(range(100))

        def read_late() -> tuple[bytes, Token] | None:
            if next(reads) == 1:
                for number in range(20):
                    other.put_member("node", b"%d" % number, announce=False)
            return read()

        register.get_state = read_late  # type: ignore[method-assign]
    assert store.add("sum", 1) == 2
    assert RegisterStore(other).add("sum", 0) == 2


def test_a_state_whose_reply_was_lost_is_told_as_written(
    register: Register, backend: RegisterBackend, other: RegisterBackend
) -> None:
    token = first(backend)
    register.lost_replies = 1
    standing = backend.set_state(b"second", token)
    assert standing is not None
    assert standing[2]
    assert other.get_state() == standing[:2]


def test_a_write_that_was_delayed_beyond_its_repetition_is_done_once(
    server: MemoryServer, register: Register, backend: RegisterBackend
) -> None:
    store = RegisterStore(backend)
    store.add("sum", 1)
    sent: list[tuple[bytes, Token]] = []
    write = register.set_state

    def delay(state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        sent.append((state, token))
        if len(sent) == 1:
            raise RendezvousConnectionError("It is still under way.")
        MemoryBackend(server, "register").set_state(*sent[0])
        return write(state, token)

    register.set_state = delay  # type: ignore[method-assign]
    assert store.add("sum", 1) == 2
    assert len(sent) == 2
    assert RegisterStore(RegisterBackend(Register(server))).get("sum") == b"2"


def test_an_unreachable_register_is_an_error_at_once(register: Register, backend: RegisterBackend) -> None:
    def fail() -> tuple[bytes, Token] | None:
        raise RendezvousConnectionError("Nobody is there.")

    register.get_state = fail  # type: ignore[method-assign]
    for call in (backend.get_state, backend.members, partial(backend.wait_for_change, None, PATIENCE)):
        with pytest.raises(RendezvousConnectionError, match="Nobody is there"):
            call()


def test_a_register_that_refuses_every_write_is_an_error_in_the_end(
    server: MemoryServer, register: Register, backend: RegisterBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register_module, "_PATIENCE", 0.1)

    def interfere() -> None:
        stranger.put_member("node", str(next(numbers)).encode(), announce=False)
        register.before_write = interfere

    stranger, numbers = RegisterBackend(Register(server)), iter(range(1000))
    register.before_write = interfere
    with pytest.raises(RendezvousConnectionError, match=r"not be written for 0\.1 s: others wrote it every"):
        backend.put_member("mine", b"1", announce=True)
    register.before_write = None
    register.lost_replies = 0

    def refuse(state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        raise RendezvousConnectionError("The register is read-only.")

    register.set_state = refuse  # type: ignore[method-assign]
    with pytest.raises(RendezvousConnectionError, match=r"0\.1 s: The register is read-only"):
        backend.put_member("mine", b"1", announce=True)


def test_what_changes_nothing_is_not_written(server: MemoryServer, backend: RegisterBackend) -> None:
    store = RegisterStore(backend)
    store.set("key", b"1")
    backend.put_member("node", b"1", announce=False)
    server.operations.clear()
    backend.remove_member("nobody")
    backend.set_state(b"state", "foreign")
    assert not store.delete_key("missing")
    assert store.compare_set("key", b"2", b"3") == b"1"
    assert store.compare_set("missing", b"2", b"3") == b"2"
    assert server.operations["set_state"] == 0


def test_an_empty_register_stays_empty_while_nothing_is_written(backend: RegisterBackend) -> None:
    backend.remove_member("nobody")
    assert backend.set_state(b"state", "foreign") is None
    assert backend.get_state() is None
    assert backend.members().records == {}


@pytest.mark.parametrize(
    "write",
    [
        lambda backend: backend.set_state(b"second", backend.get_state()[1]),
        lambda backend: backend.put_member("node", b"1", announce=True),
    ],
    ids=["state", "announcement"],
)
def test_news_reaches_whoever_polls(
    backend: RegisterBackend, other: RegisterBackend, write: "partial[object]"
) -> None:
    token = first(backend)
    waiting = start(backend.wait_for_change, token, PATIENCE, backend.members().token)
    assert is_blocked(waiting, 0.1)
    write(other)
    assert waiting.result(PATIENCE)


def test_heartbeats_are_no_news(backend: RegisterBackend, other: RegisterBackend) -> None:
    token, listed = first(backend), backend.members().token
    other.put_member("node", b"1", announce=False)
    assert not backend.wait_for_change(token, 0.05, listed)


def test_a_lost_register_is_a_change(server: MemoryServer, backend: RegisterBackend) -> None:
    token = first(backend)
    server.lose()
    assert backend.wait_for_change(token, PATIENCE)
    assert backend.set_state(b"second", token) is None


def test_the_register_remembers_no_more_writers_than_it_needs(
    server: MemoryServer, register: Register, backend: RegisterBackend
) -> None:
    for number in range(200):
        RegisterBackend(Register(server)).put_member("node", b"%d" % number, announce=False)
    found = register.get_state()
    assert found is not None
    assert len(found[0]) < 64 * 32


def test_close_ends_what_waits_and_closes_the_register(
    server: MemoryServer, register: Register, backend: RegisterBackend
) -> None:
    store = RegisterStore(backend)
    waiting = start(backend.wait_for_change, None, PATIENCE)
    reading = start(store.get, "key")
    eventually(lambda: server.operations["get_state"] >= 4, "both poll")
    backend.close()
    backend.close()
    assert waiting.result(PATIENCE) is False
    for call in (partial(reading.result, PATIENCE), backend.get_state, partial(store.set, "key", b"")):
        with pytest.raises(RendezvousConnectionError, match="'register' was closed"):
            call()
    with pytest.raises(RendezvousConnectionError):
        register.get_state()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is corrupt"),
        (b"garbage", "is corrupt"),
        (b'{"version": 1}', "is corrupt"),
        (msgspec.msgpack.encode({}), "is corrupt"),
        (msgspec.msgpack.encode({"version": 1, "members": {"node": "text"}}), "is corrupt.*members"),
        (
            msgspec.msgpack.encode({"version": 2, "members": []}),
            "version 2, and this library reads version 1",
        ),
    ],
)
def test_what_is_no_register_is_named_as_such(
    register: Register, backend: RegisterBackend, data: bytes, complaint: str
) -> None:
    register.set_state(data)
    for call in (backend.get_state, backend.members, partial(backend.put_member, "n", b"", announce=True)):
        with pytest.raises(RendezvousStateError, match=f"register of the backend 'register'.*{complaint}"):
            call()


@given(data=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    register = Register(MemoryServer())
    register.set_state(data)
    with pytest.raises(RendezvousStateError):
        RegisterBackend(register).get_state()


def test_threads_of_one_handle_lose_nothing(backend: RegisterBackend) -> None:
    store = RegisterStore(backend)
    started = threading.Barrier(8)

    def count() -> None:
        started.wait(PATIENCE)
        for _ in range(10):
            store.add("sum", 1)

    for each in [start(count) for _ in range(8)]:
        each.result(PATIENCE)
    assert store.get("sum") == b"80"


def test_a_store_names_what_it_waited_for(backend: RegisterBackend) -> None:
    store = RegisterStore(backend, timeout=0.05)
    store.set("here", b"1")
    with pytest.raises(RendezvousTimeoutError, match=r"0\.05 s waiting for keys: 'a'; present: 'here'"):
        store.multi_get(["a", "here"])
