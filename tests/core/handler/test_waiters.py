"""Who waits for a node's thread."""

import os
import signal
import threading
import time

import pytest

from rendezvous_core import RendezvousError
from rendezvous_core.dynamic.waiters import Waiters
from tests.core.handler.bench import Bench, Clock
from tests.core.handler.groups import PATIENCE


def test_what_has_come_true_by_the_deadline_is_seen() -> None:
    waiters, looks = Waiters(), iter([False, True])
    assert waiters.wait(lambda: next(looks), time.monotonic() + 0.05)
    assert not waiters.wait(lambda: False, time.monotonic() - 1)
    assert waiters._gates == []


def test_who_waits_is_woken() -> None:
    waiters, told = Waiters(), threading.Event()
    looked = threading.Event()

    def is_told() -> bool:
        looked.set()
        return told.is_set()

    waiting = threading.Thread(target=waiters.wait, args=(is_told, float("inf")))
    waiting.start()
    assert looked.wait(PATIENCE)
    told.set()
    waiters.wake()
    waiters.wake()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


def test_who_waits_for_something_else_is_not_woken() -> None:
    waiters, looks = Waiters(), iter([True, False])

    def is_told() -> bool:
        if next(looks):
            waiters.wake()
            assert [gate.locked() for gate, _ in waiters._gates] == [True]
        return False

    assert not waiters.wait(is_told, time.monotonic() - 1)


def test_who_is_interrupted_before_it_waits_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> float:
        raise KeyboardInterrupt

    waiters = Waiters()
    monkeypatch.setattr("rendezvous_core.dynamic.waiters.longest_wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        waiters.wait(lambda: False, float("inf"))
    assert waiters._gates == []


def test_who_waits_while_its_process_forks_finds_itself_in_a_child() -> None:
    driver, ended = Bench(Clock()).driver, []

    def wait() -> None:
        children: list[int] = []

        def fork() -> bool:
            if not children:
                children.append(os.fork())
                if not children[0]:
                    signal.alarm(round(PATIENCE))
            return bool(children[0])

        try:
            driver.wait(fork, float("inf"))
        except RendezvousError:
            os._exit(7)
        finally:
            if not children[0]:
                os._exit(1)
        ended.append(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))

    waiting = threading.Thread(target=wait)  # where no signal is looked for, so it sleeps until it is woken
    waiting.start()
    waiting.join(2 * PATIENCE)
    assert ended == [7]
