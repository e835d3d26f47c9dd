"""What a handler does when its backend, its settings, or its own process fail it."""

import gc
import os
import signal
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from rendezvous_core import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from rendezvous_core.records.codec import encode_state
from rendezvous_core.records.state import Settings, State
from rendezvous_core.testing.memory import MemoryBackend
from tests.core.handler.groups import PATIENCE, Faulty, Group, eventually, group, kill


@pytest.fixture
def nodes() -> Iterator[Group]:
    with group() as members:
        yield members


def faulty(nodes: Group) -> Faulty:
    return Faulty(MemoryBackend(nodes.server, "run"))


def test_an_outage_shorter_than_the_deadline_goes_unnoticed(nodes: Group) -> None:
    backend = faulty(nodes)
    backend.cut()
    asked = nodes.ask(nodes.node(backend=backend), nodes.node())
    assert backend.failed.wait(PATIENCE)
    backend.mend()
    assert {future.result(PATIENCE).rank for future in asked} == {0, 1}


def test_an_outage_longer_than_the_deadline_is_a_connection_error(nodes: Group) -> None:
    backend = faulty(nodes)
    backend.cut()
    handler = nodes.node(backend=backend, join=0.3)
    handler.settings.timeout._close = handler.settings.timeout.join
    with pytest.raises(
        RendezvousConnectionError, match=r"within 0.3 s on the backend 'faulty'.*cable"
    ) as info:
        handler.next_rendezvous()
    assert isinstance(info.value.__cause__, RendezvousConnectionError)


def test_nobody_is_evicted_because_the_backend_was_away(nodes: Group) -> None:
    backends = [faulty(nodes) for _ in range(3)]
    three = [nodes.node(3, 3, backend=backend, interval=0.1, attempts=3) for backend in backends]
    nodes.join(*three)
    for backend in backends:
        backend.cut()
    silence = threading.Event()
    assert all(backend.failed.wait(PATIENCE) for backend in backends)
    silence.wait(1.0)  # the outage itself, three times as long as it takes to be dead
    for backend in backends:
        backend.mend()
        backend.calls.clear()
    eventually(
        lambda: all(backend.calls.count("put_member") > 5 for backend in backends), "heartbeats resume"
    )
    assert [each.num_nodes_waiting() for each in three] == [0, 0, 0]


def test_an_exception_of_a_client_library_does_not_escape(nodes: Group) -> None:
    backend = faulty(nodes)
    backend.error = KeyError("internal")
    with pytest.raises(RendezvousStateError, match=r"backend 'faulty' raised KeyError") as info:
        nodes.node(backend=backend).next_rendezvous()
    assert isinstance(info.value.__cause__, KeyError)


def test_an_operating_system_error_is_retried_as_a_lost_connection(nodes: Group) -> None:
    backend = faulty(nodes)
    backend.error = BrokenPipeError("gone")
    asked = nodes.ask(nodes.node(backend=backend), nodes.node())
    assert backend.failed.wait(PATIENCE)
    backend.mend()
    assert {future.result(PATIENCE).rank for future in asked} == {0, 1}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x04K\x01.", "corrupt"),
        (b"{}", "corrupt"),
        (b'{"v": 1, "state": {"old": "fields"}}', "version 1, but this node speaks version 2"),
        (b'{"v": 3, "state": {"new": "fields"}}', "version 3, but this node speaks version 2"),
    ],
)
def test_a_state_that_cannot_be_read_is_named(nodes: Group, data: bytes, message: str) -> None:
    MemoryBackend(nodes.server, "run").set_state(data)
    with pytest.raises(RendezvousStateError, match=message):
        nodes.node().next_rendezvous()


@pytest.mark.parametrize(
    "data", [b"not a record", b'{"v":2,"member":' + b'{"a":' * 9000, b'{"v":2,"member":{"node":"damaged"}}']
)
def test_the_damaged_record_of_one_node_does_not_stop_the_others(nodes: Group, data: bytes) -> None:
    MemoryBackend(nodes.server, "run").put_member("damaged", data, announce=True)
    nodes.join(nodes.node(), nodes.node())


def test_settings_that_differ_from_the_group_are_named(nodes: Group) -> None:
    nodes.join(nodes.node(2, 2), nodes.node(2, 2))
    with pytest.raises(RendezvousStateError, match="max_nodes is 3 here and 2 there"):
        nodes.node(2, 3).next_rendezvous()


def test_the_settings_of_a_dead_group_bind_nobody(nodes: Group) -> None:
    pair = nodes.node(2, 2), nodes.node(2, 2)
    nodes.join(*pair)
    for handler in pair:
        kill(handler)
    nodes.join(nodes.node(3, 3), nodes.node(3, 3), nodes.node(3, 3))


def test_an_exception_in_the_caller_withdraws_the_node(nodes: Group) -> None:
    first, second = nodes.node(2, 2), nodes.node(2, 2)

    class Interruption(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interruption

    former = signal.signal(signal.SIGUSR1, interrupt)
    try:
        backend = MemoryBackend(nodes.server, "run")
        main = threading.main_thread().ident
        assert main is not None

        def interrupt_the_ask() -> None:
            eventually(lambda: backend.members().records, "the node has asked")
            signal.pthread_kill(main, signal.SIGUSR1)

        watch = threading.Thread(target=interrupt_the_ask)
        watch.start()
        with pytest.raises(Interruption):
            first.next_rendezvous()
        watch.join()
    finally:
        signal.signal(signal.SIGUSR1, former)
    eventually(lambda: first._driver.view.finished, "it has withdrawn")
    (waiting,) = nodes.ask(second)
    eventually(lambda: second._driver.state is not None, "the second node is there")
    assert not waiting.done()
    nodes.ask(first)
    waiting.result(PATIENCE)


def test_only_one_thread_may_ask(nodes: Group) -> None:
    handler = nodes.node(join=5)
    (asked,) = nodes.ask(handler)
    eventually(lambda: handler._driver.node.state is not None, "the first call is under way")
    with pytest.raises(RendezvousError, match="already under way"):
        handler.next_rendezvous()
    handler.set_closed()
    with pytest.raises(RendezvousError):
        asked.result(PATIENCE)


def test_a_forked_child_is_told_to_make_its_own_handler(nodes: Group) -> None:
    pair = nodes.node(), nodes.node()
    nodes.join(*pair)
    child = os.fork()
    if child == 0:
        try:
            pair[0].next_rendezvous()
        except RendezvousError as error:
            os._exit(0 if "forked child" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pair[1].num_nodes_waiting() == 0


def test_a_dropped_handler_leaves_and_its_thread_ends(nodes: Group) -> None:
    first, second = nodes.node(), nodes.node()
    nodes.join(first, second)
    driver, handler = second._driver, weakref.ref(second)
    nodes.handlers.remove(second)
    del second
    gc.collect()
    assert handler() is None
    eventually(lambda: first.num_nodes_waiting() > 0, "the other node is told")
    eventually(lambda: not driver.is_running, "the thread ends")


def test_a_timeout_during_an_outage_does_not_hang(nodes: Group) -> None:
    backend = faulty(nodes)
    handler = nodes.node(backend=backend, join=0.5)
    handler.settings.timeout._close = handler.settings.timeout.join
    (asked,) = nodes.ask(handler)
    eventually(lambda: handler._driver.node.state is not None, "the node is connected")
    backend.cut()
    with pytest.raises((RendezvousTimeoutError, RendezvousConnectionError)):
        asked.result(PATIENCE)


def test_what_a_signal_handler_raises_is_not_taken_for_a_failure_of_the_backend(nodes: Group) -> None:
    class Stop(Exception):
        pass

    def stop(number: int, frame: object) -> None:
        raise Stop

    class Interrupted(Faulty):
        def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
            if not self.calls:
                self.calls.append("interrupted")
                signal.raise_signal(signal.SIGUSR1)
            return super()._call(name, *args, **kwargs)

    handler = nodes.node(backend=Interrupted(MemoryBackend(nodes.server, "run")))
    former = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(Stop):
            handler.set_closed()
    finally:
        signal.signal(signal.SIGUSR1, former)


def test_a_state_of_another_run_is_refused(nodes: Group) -> None:
    state = State(run="another", settings=Settings(1, 1))
    MemoryBackend(nodes.server, "run").set_state(encode_state(state))
    with pytest.raises(RendezvousStateError, match="belongs to the run 'another'"):
        nodes.node().next_rendezvous()


def test_asking_a_run_known_to_be_closed_leaves_nothing_behind(nodes: Group) -> None:
    handler = nodes.node(1, 1)
    nodes.join(handler)
    handler.set_closed()
    for _ in range(2):
        with pytest.raises(RendezvousClosedError):
            handler.next_rendezvous()
    eventually(lambda: not MemoryBackend(nodes.server, "run").members().records, "its record is removed")
