"""When to ask again, and whom."""

import logging
import time
from collections.abc import Callable

_logger = logging.getLogger("rendezvous_etcd")

_LEAST = 0.25
_FIRST_PAUSE, _LAST_PAUSE = 0.01, 0.5
_QUIET = 1.0
"""Seconds after which the log says what is waited for."""


class Patience:
    """For how long a client asks; longer while it connects, since servers may be started with it."""

    def __init__(self, seconds: float, members: int) -> None:
        self.seconds = seconds
        self.attempt = max(_LEAST, seconds / (members + 1))
        """How long one member is given to answer: what a connection costs that died unseen."""
        self._members = members
        self._connects_until: float | None = None
        self._connect_timeout = 0.0

    def connect(self, connect: Callable[[], None], timeout: float) -> None:
        """Have the attempts of ``connect`` take ``timeout`` seconds, all together; the log tells why."""
        self._connect_timeout, self._connects_until = timeout, time.monotonic() + timeout
        try:
            connect()
        finally:
            self._connects_until = None

    @property
    def is_connecting(self) -> bool:
        """Whether it is `connect` that asks."""
        return self._connects_until is not None

    def begin(self) -> "Attempts":
        """Begin with a call."""
        if self._connects_until is not None:
            return Attempts(self._connect_timeout, self._connects_until, self._members, tells=True)
        return Attempts(self.seconds, time.monotonic() + self.seconds, self._members, tells=False)


class Attempts:
    """The attempts of one call."""

    def __init__(self, patience: float, deadline: float, members: int, tells: bool) -> None:
        self.patience = patience
        """All the seconds that there were."""
        self._deadline = deadline
        self._members = members
        self._tells = tells
        self._began = time.monotonic()
        self._failures = 0
        self._refusing: set[object] = set()
        self._told = ""

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self._deadline - time.monotonic()

    def after(self, member: object, refused: bool, error: Exception) -> float | None:
        """Seconds to rest after ``member`` has failed; ``None`` if there is to be no other attempt.

        A member that ``refused`` is asked again only while others do not answer.
        """
        if refused:
            self._refusing.add(member)
            if len(self._refusing) == self._members:
                return None
        else:
            self._refusing.discard(member)
        self._failures += 1
        rounds, rest = divmod(self._failures, self._members)
        pause = min(_FIRST_PAUSE * 2.0 ** min(rounds, 10), _LAST_PAUSE) if rest == 0 else 0.0
        if self.left <= pause:
            return None
        if self._tells and time.monotonic() - self._began > _QUIET and str(error) != self._told:
            self._told = str(error)
            _logger.warning("Waiting up to %.0f s for etcd, as connect_timeout says: %s", self.left, error)
        return pause
