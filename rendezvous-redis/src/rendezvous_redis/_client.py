"""Carries commands to the server that holds a run, through cuts, restarts and failovers."""

import itertools
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any, TypeVar

from redis.exceptions import MovedError, RedisError

from rendezvous_core import RendezvousConnectionError
from rendezvous_redis._errors import IN_DOUBT, explain, is_passing, is_refusal, told
from rendezvous_redis._link import Address, Command, Link
from rendezvous_redis._locate import locator_of, moved_to
from rendezvous_redis._replies import Kind
from rendezvous_redis._scripts import Script
from rendezvous_redis._target import Target

T = TypeVar("T")

_logger = logging.getLogger("rendezvous_redis")

_KEPT = 16
"""How many idle connections are kept."""

_AGE = 30.0
"""For how many seconds an idle connection is kept. Those in between may forget it, without a word."""

_QUIET = 1.0
"""Seconds after which the log says what is waited for."""

_UNTOLD = 30.0
"""For how many seconds a server is good that works when nobody could be asked about it."""


class Client:
    """Connections to the server of ``target`` that holds ``tag``, as many as are in use at once.

    May be used from several threads, and by a forked child, which makes connections of its own.
    What may pass, as a failover does, is tried again until ``patience`` seconds are over; then
    `RendezvousConnectionError` is raised. What will not pass raises `RendezvousStateError` at once.
    A connection over which no reply comes for ``answer`` seconds, for twice that if it is new, is taken for
    lost.
    """

    def __init__(self, target: Target, tag: str, answer: float) -> None:
        self._target = target
        self._answer = answer
        self._tag = tag
        self._closed = threading.Event()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._locator = locator_of(self._target, self._tag)
        self._address: Address | None = None
        self._look_again = 0.0
        # What is done to these is atomic, so that no lock has to survive a fork.
        self._idle: deque[Link] = deque()
        self._busy: dict[int, Link] = {}
        self._lanes: deque[tuple[str, int]] = deque()
        self._name = token_hex(8)
        self._numbers = itertools.count(1)

    def __str__(self) -> str:
        return str(self._target)

    @property
    def hosts(self) -> list[str]:
        """Where the servers are."""
        return [endpoint.host for endpoint in self._target.hosts] or ["localhost"]

    def call(self, kind: Kind[T], *command: Any, patience: float) -> T:
        """Perform one command, and return its reply, which is of this ``kind``."""
        return self.run(lambda link: kind(link.exchange(command)[0]), patience)

    def call_all(self, kind: Kind[T], *commands: Command, patience: float) -> T:
        """Perform several commands in order, not atomically, in one round trip; of that kind is the list."""
        return self.run(lambda link: kind(link.exchange(*commands)), patience)

    def call_script(
        self, kind: Kind[T], script: Script, keys: Sequence[str], *arguments: Any, patience: float
    ) -> T:
        """Perform ``script``. It may happen twice if a reply is lost."""
        rest = (len(keys), *keys, *arguments)
        return self.run(lambda link: kind(link.run(script, rest)), patience)

    def call_once(
        self,
        kind: Kind[T],
        script: Script,
        keys: Sequence[str],
        *arguments: Any,
        patience: float,
        topic: str = "",
    ) -> T:
        """Perform ``script``, which happens once though a reply be lost; see `_scripts`.

        Of calls about one ``topic``, none has an effect once a later one has had its own.
        """
        self._check_process()
        if topic:
            lane, number = f"{self._name}:{topic}", next(self._numbers)
            return self._call_numbered(kind, script, keys, lane, number, *arguments, patience=patience)
        try:
            lane, number = self._lanes.pop()
        except IndexError:
            lane, number = token_hex(8), 0
        number += 1
        try:
            return self._call_numbered(kind, script, keys, lane, number, *arguments, patience=patience)
        finally:
            self._lanes.append((lane, number))

    def _call_numbered(
        self,
        kind: Kind[T],
        script: Script,
        keys: Sequence[str],
        lane: str,
        number: int,
        *arguments: Any,
        patience: float,
    ) -> T:
        # As long as a call may be sent again: the last attempt begins when patience ends, and takes
        # some answers for connecting.
        remembered = round(patience + 10 * self._answer + 1)
        rest = (len(keys) + 1, *keys, f"{self._tag}:call:{lane}", number, remembered, *arguments)
        return self.run(lambda link: kind(link.run(script, rest)), patience, is_write=True)

    def run(
        self, action: Callable[[Link], T], patience: float, *, is_write: bool = False, tells: bool = False
    ) -> T:
        """Have ``action`` done with a connection, again with another one where the first fails.

        Of one that ``is_write`` the error says whether it may have been done. Where it ``tells``, the log
        says what is waited for.
        """
        deadline = time.monotonic() + patience
        pause = 0.005
        in_doubt = False
        waits_for = ""
        while not self._closed.is_set():
            link = None
            try:
                link = self._take(deadline)
                return self._use(link, action)
            except (RedisError, OSError) as error:
                in_doubt |= is_write and link is not None and not is_refusal(error)
                if not is_passing(error) or time.monotonic() + pause > deadline:
                    raise explain(error, str(self), in_doubt) from error
                left = deadline - time.monotonic()
                if tells and patience - left > _QUIET and (reason := told(error)) != waits_for:
                    waits_for = reason
                    _logger.warning("Waiting up to %.0f s for the Redis server %s: %s.", left, self, reason)
            except Exception:
                # Closing a connection under a reader makes the client library raise anything.
                if not self._closed.is_set():
                    raise
                in_doubt |= is_write and link is not None
            self._closed.wait(random.uniform(pause / 2, pause))
            pause = min(2 * pause, 0.5)
        doubt = f" {IN_DOUBT}" if in_doubt else ""
        raise RendezvousConnectionError(f"This client of the Redis server {self} was closed.{doubt}")

    def close(self) -> None:
        """Close all connections; what is under way raises `RendezvousConnectionError`."""
        self._closed.set()
        self._check_process()
        for link in (*self._busy.values(), *self._idle):
            link.close()

    def _use(self, link: Link, action: Callable[[Link], T]) -> T:
        self._busy[id(link)] = link
        began = time.monotonic()
        done = False
        try:
            result = action(link)
            done = True
        except (RedisError, OSError) as error:
            if isinstance(error, MovedError):
                self._address = moved_to(error, link)
            elif is_passing(error) and link.address == self._address:
                self._address = None
            if not is_refusal(error):
                # What became of this connection may have become of all that nobody has used since.
                self._drop_idle(lambda idle: idle.alive_at < began)
            raise
        finally:
            self._busy.pop(id(link), None)
            if not done:
                link.abort()
            elif link.is_open:
                self._idle.append(link)
                too_old = time.monotonic() - _AGE
                self._drop_idle(lambda idle: idle.alive_at < too_old or len(self._idle) >= _KEPT)
                if self._closed.is_set():
                    self._drop_idle(lambda _: True)
        return result

    def _take(self, deadline: float) -> Link:
        self._check_process()
        address = self._where(deadline)
        too_old = time.monotonic() - _AGE
        while self._idle:
            try:
                link = self._idle.pop()
            except IndexError:
                break
            if link.address == address and link.alive_at >= too_old:
                return link
            link.close()
        try:
            return self._open(address, deadline)
        except BaseException:
            self._address = None
            raise

    def _drop_idle(self, is_unwanted: Callable[[Link], bool]) -> None:
        """Close those idle connections that are unwanted, the oldest first."""
        for _ in range(len(self._idle)):
            try:
                link = self._idle.popleft()
            except IndexError:
                break
            if is_unwanted(link):
                link.close()
            else:
                self._idle.append(link)

    def _where(self, deadline: float) -> Address:
        known, now = self._address, time.monotonic()
        if known is not None and now < self._look_again:
            return known
        self._look_again = now + self._locator.good_for
        try:
            self._address = address = self._locator.locate(deadline)
        except (RedisError, OSError):
            if known is None:
                raise
            self._look_again = now + _UNTOLD
            return known
        return address

    def _open(self, address: Address, deadline: float) -> Link:
        patience = min(2 * self._answer, max(self._answer, deadline - time.monotonic()))
        link = Link(self._target, address, self._answer, patience=patience)
        try:
            self._locator.admit(link)
        except BaseException:
            link.close()
            raise
        return link

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            self._begin()
