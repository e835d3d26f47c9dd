"""Many threads of a process: one of them waits for the data of all, and few go on at a time."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rendezvous_core.crowd import TURNS, Listener
from rendezvous_core.testing.suites.threads import is_blocked, start

MOMENT = 0.1
PATIENCE = 60.0

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Connected sockets, many more than may go on at a time."""
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(4 * TURNS)]
        for pair in pairs:
            for end in pair:
                stack.enter_context(end)
        yield pairs


def receive(listener: Listener, source: socket.socket) -> bytes:
    with listener.wait(source, 2 * PATIENCE):
        return source.recv(10, socket.MSG_DONTWAIT)


def test_data(pairs: list[Pair]) -> None:
    """Data ends a wait, whether it was there before or not, and only that of who waits for it."""
    listener = Listener()
    (here, there), (here_too, there_too), *_ = pairs
    there.send(b"early")
    assert receive(listener, here) == b"early"
    waiting = [start(receive, listener, each) for each in (here, here_too)]
    assert all(is_blocked(each, MOMENT) for each in waiting)
    there_too.send(b"late")
    assert waiting[1].result(PATIENCE) == b"late"
    assert is_blocked(waiting[0], MOMENT)
    there.send(b"later")
    assert waiting[0].result(PATIENCE) == b"later"


def test_no_data(pairs: list[Pair]) -> None:
    """A wait ends when its time is over, and can be begun again."""
    listener = Listener()
    here, there = pairs[0]
    began = time.monotonic()
    with listener.wait(here, MOMENT):
        assert time.monotonic() - began >= MOMENT * 0.9
    there.send(b"late")
    assert receive(listener, here) == b"late"


def test_close(pairs: list[Pair]) -> None:
    """Closing a connection ends the wait for it; there is none for one that is closed."""
    listener = Listener()
    here, _ = pairs[0]
    waiting = start(receive, listener, here)
    assert is_blocked(waiting, MOMENT)
    listener.close(here, here.close)
    assert isinstance(waiting.exception(PATIENCE), OSError)
    with pytest.raises(ConnectionResetError, match="closed"):
        receive(listener, here)
    listener.close(here, here.close)


def test_few_at_a_time(pairs: list[Pair]) -> None:
    """Of many that get data at once, few are awake at the same time, and all get through."""
    listener = Listener()
    awake, most, count = threading.Lock(), 0, 0

    def go_on(source: socket.socket) -> None:
        nonlocal most, count
        with listener.wait(source, 2 * PATIENCE):
            with awake:
                count += 1
                most = max(most, count)
            threading.Event().wait(0.01)
            with awake:
                count -= 1

    waiting = [start(go_on, here) for here, _ in pairs]
    assert all(is_blocked(each, 0.01) for each in waiting)
    for _, there in pairs:
        there.send(b"data")
    for each in waiting:
        each.result(PATIENCE)
    assert 0 < most <= TURNS
