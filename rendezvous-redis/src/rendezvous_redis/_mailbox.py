"""Waits for what is to come into the store: for all threads of a process, over one connection."""

import os
import threading
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import partial
from queue import Empty
from secrets import token_hex

from rendezvous_core import RendezvousConnectionError, RendezvousError
from rendezvous_core.ports.waiting import Inbox
from rendezvous_redis._link import Link
from rendezvous_redis._replies import data, each, listed, nothing, optional, text
from rendezvous_redis._run import RedisRun
from rendezvous_redis._store_scripts import AWAIT, FORGET

_SLICE = 5.0
"""Seconds after which it is looked again, whatever became of the mail."""

_MAIL = optional(each(each(data, listed(each(data, each(data, text))))))
"""What is new in the one stream that is read."""


class _Wait:
    """What one thread waits for."""

    def __init__(self, names: Iterable[str]) -> None:
        self.missing = set(names)
        self.error: RendezvousError | None = None
        self.thread = threading.get_ident()
        # Unlike an event, it may be stirred by a signal handler in the middle of a wait.
        self._stirs: Inbox[None] = Inbox()

    def stir(self) -> None:
        """Have the thread look what has become of its wait."""
        self._stirs.put(None)

    def rest(self, deadline: float) -> None:
        """Block until the thread is stirred, at most until ``deadline``."""
        with suppress(Empty):
            self._stirs.get(timeout=deadline - time.monotonic())


class Mailbox:
    """A stream in which the server drops the names of what has come, if somebody here awaits it.

    Names are ``k`` and a key, or ``q`` and a queue. One of the threads that wait reads the mail of
    all; when it has what it waits for, another one takes over. Mail is but a hint to look.

    A signal handler may wait in the middle of a wait of its thread: the lock lets it in, so what is
    looped over is copied before, and it reads by itself where the thread that it interrupts is the reader.
    """

    def __init__(self, run: RedisRun) -> None:
        self._run = run
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._waits: dict[str, set[_Wait]] = {}
        self._reader: _Wait | None = None
        self._renew()

    def _renew(self) -> None:
        self._id = token_hex(8)
        self._read_to: bytes = b"0-0"

    def wait(self, names: Collection[str], deadline: float) -> Collection[str]:
        """Block until each of ``names`` is there, at most until ``deadline``; return those that are not.

        Raises:
            RendezvousConnectionError: the server could not be reached.
        """
        if os.getpid() != self._pid:
            self._begin()
        wait = _Wait(names)
        try:
            with self._lock:
                for name in names:
                    self._waits.setdefault(name, set()).add(wait)
            self._look(names, deadline)
            while wait.missing and time.monotonic() < deadline:
                if self._reads(wait):
                    self._read(deadline)
                else:
                    wait.rest(deadline)
                    if wait.error is not None:
                        raise wait.error
        finally:
            unwanted = self._leave(wait)
        if unwanted:
            with suppress(RendezvousError):
                self._run.client.call_script(
                    nothing, FORGET, [self._run.keys.waiters], self._id, *unwanted, patience=0.0
                )
        return wait.missing

    def _reads(self, wait: _Wait) -> bool:
        """Whether it falls to ``wait`` to read the mail."""
        with self._lock:
            if self._reader is None:
                self._reader = wait
            return self._reader is wait or self._reader.thread == wait.thread

    def _read(self, deadline: float) -> None:
        """Wait for mail, and look at what it names; without any, at everything."""
        patience = min(max(0.0, deadline - time.monotonic()), _SLICE)
        try:
            named = self._run.client.run(partial(self._listen, patience), 0.0)
        except RendezvousConnectionError:
            # The mail may be lost, or turned back to a place that was read already.
            self._renew()
            named = None
        with self._lock:
            names = [name for name in list(self._waits) if named is None or name in named]
        try:
            self._look(names, deadline)
        except RendezvousConnectionError as error:
            if time.monotonic() < deadline:
                self._fail(error)
            raise

    def _listen(self, patience: float, link: Link) -> set[str] | None:
        place = (f"{self._run.keys.waiters}:{self._id}", self._read_to)
        block = max(1, round(patience * 1000))
        link.send(("XREAD", "COUNT", 1000, "BLOCK", block, "STREAMS", *place))
        mail = _MAIL(link.read_late(patience))
        if not mail or not (entries := mail[0][1]):
            return None
        self._read_to = entries[-1][0]
        return {name for _, (_, name) in entries}

    def _look(self, names: Collection[str], deadline: float) -> None:
        """Release those who wait for what is there; the rest is announced to the server as awaited."""
        if not names:
            return
        run, keys = self._run, self._run.keys
        patience = min(run.patience, max(1.0, deadline - time.monotonic()))
        there = run.client.call_script(
            listed(text),
            AWAIT,
            (keys.values, keys.queues, keys.waiters),
            *(run.ttl, self._id, *names),
            patience=patience,
        )
        with self._lock:
            for name in there:
                for wait in self._waits.pop(name, ()):
                    wait.missing.discard(name)
                    if not wait.missing:
                        wait.stir()

    def _fail(self, error: RendezvousError) -> None:
        """Have all fail: each by itself would be as patient as this one was."""
        with self._lock:
            for wait in self._all():
                wait.error = error
                wait.stir()

    def _leave(self, wait: _Wait) -> list[str]:
        """Hand on the reading; return what nobody here awaits any more though it has not come."""
        unwanted = []
        with self._lock:
            for name in list(wait.missing):
                others = self._waits.get(name, set())
                others.discard(wait)
                if not others:
                    self._waits.pop(name, None)
                    unwanted.append(name)
            if self._reader is wait:
                self._reader = None
            if self._reader is None:
                for successor in self._all()[:1]:
                    successor.stir()
        return unwanted

    def _all(self) -> list[_Wait]:
        return [wait for waits in list(self._waits.values()) for wait in list(waits)]
