"""What used to leave a handler that nobody could use any more."""

import functools
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rendezvous_core import RendezvousError
from rendezvous_core.ports import calls
from rendezvous_core.testing.memory import MemoryBackend
from tests.core.handler.groups import PATIENCE, Faulty, Group, eventually, group


@pytest.fixture
def nodes() -> Iterator[Group]:
    with group() as members:
        yield members


def faulty(nodes: Group) -> Faulty:
    return Faulty(MemoryBackend(nodes.server, "run"))


@contextmanager
def raising(handler: Callable[[int, object], object]) -> Iterator[Callable[[], None]]:
    """Have ``handler`` called on the main thread whenever the function given out is called."""
    former = signal.signal(signal.SIGUSR1, handler)
    main = threading.main_thread().ident
    assert main is not None
    try:
        yield lambda: signal.pthread_kill(main, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, former)


@pytest.mark.parametrize("again", [1, 3])
def test_leaving_in_an_outage_and_asking_when_it_is_over(nodes: Group, again: int) -> None:
    backend = faulty(nodes)
    handler = nodes.node(1, 1, backend=backend)
    for _ in range(again):
        nodes.join(handler)
        backend.cut()
        assert backend.failed.wait(PATIENCE)
        threading.Thread(target=handler.leave).start()
        eventually(lambda: handler._driver.view.intent == "leave", "it tries to leave")
        backend.mend()
    nodes.join(handler)


def test_asking_after_an_outage_that_outlasted_the_leaving(nodes: Group) -> None:
    backend = faulty(nodes)
    handler = nodes.node(1, 1, backend=backend, interval=0.05, attempts=2)
    nodes.join(handler)
    backend.cut()
    assert handler.leave() is False
    eventually(lambda: handler._driver.view.finished, "it gives up, as all have found it silent")
    backend.mend()
    nodes.join(handler)


def test_shutting_down_in_an_outage_says_so_to_the_next_ask(nodes: Group) -> None:
    backend = faulty(nodes)
    handler = nodes.node(1, 1, backend=backend)
    handler.settings.timeout._close = handler.settings.timeout.last_call
    nodes.join(handler)
    backend.cut()
    assert handler.shutdown() is False
    with pytest.raises(RendezvousError, match="was shut down"):
        handler.next_rendezvous()


def test_a_thread_that_could_not_be_started_once(nodes: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    handler = nodes.node(1, 1)
    with monkeypatch.context() as patched:
        patched.setattr(calls, "start_new_thread", refuse)
        for call in (handler.next_rendezvous, handler.set_closed):
            with pytest.raises(RendezvousError, match="ulimit -u"):
                call()
    nodes.join(handler)
    assert not handler.is_closed(), "what was refused must not happen later"


class Interruption(Exception):
    """What a signal handler raises."""


class _Raiser:
    def __call__(self, number: int, frame: object) -> None:
        raise Interruption


def _raise(what: type[Exception], number: int, frame: object) -> None:
    raise what


@pytest.mark.parametrize("handler", [_Raiser(), functools.partial(_raise, Interruption)])
def test_an_ask_does_not_outlive_its_exception(
    nodes: Group, handler: Callable[[int, object], object]
) -> None:
    backend = faulty(nodes)
    first = nodes.node(1, 1, backend=backend)
    nodes.join(first)
    backend.cut()
    with raising(handler) as interrupt:

        def interrupt_the_ask() -> None:
            eventually(lambda: first.joined is None, "it asks again")
            interrupt()

        watch = threading.Thread(target=interrupt_the_ask)
        watch.start()
        with pytest.raises(Interruption):
            first.next_rendezvous()
        watch.join()
    backend.mend()
    (info,) = nodes.join(nodes.node(1, 1))
    assert info.rank == 0


@pytest.mark.parametrize("call", ["leave", "shutdown"])
def test_a_program_that_leaves_by_a_signal_amid_its_stores(tmp_path: Path, call: str) -> None:
    """Over SQLite, whose locks others wait for too."""
    script = """
    import signal, sys
    from rendezvous_core import RendezvousParameters, get_rendezvous_handler

    path, call = sys.argv[1:]
    handler = get_rendezvous_handler(RendezvousParameters("sqlite", path, "run", 1, 1, "localhost"))
    store = handler.next_rendezvous().store

    def end(number, frame):
        assert getattr(handler, call)()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    print("up", flush=True)
    while True:
        store.add("number", 1)
    """
    for number in range(4):
        program = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / f"{number}.db"), call],
            stdout=subprocess.PIPE,
            text=True,
        )
        with program:
            assert program.stdout is not None
            assert program.stdout.readline()
            os.kill(program.pid, signal.SIGTERM)
            assert program.wait(PATIENCE) == 0
