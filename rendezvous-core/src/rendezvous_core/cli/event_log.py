"""What the rendezvous logs while a node runs, told as events."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rendezvous_core.plugins.loading import LOG_PREFIX

_SHOWN = ("coordinates", "departed", "drains", "disconnected", "reconnected", "closed")
_SAID = (f"{LOG_PREFIX}run_id", f"{LOG_PREFIX}round")
"""What the other events of a node have told already."""


@contextmanager
def events_told(tell: Callable[..., None]) -> Iterator[None]:
    """Tell what observers of the rendezvous are told, as far as it concerns others, and warnings."""
    log = _EventLog(tell)
    logger = logging.getLogger("rendezvous_core")
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(log)
        log.end()


class _EventLog(logging.Handler):
    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__()
        self._tell = tell
        self._is_over = False

    def end(self) -> None:
        """Tell nothing any more, nor what is about to be told on another thread."""
        self.acquire()
        self._is_over = True
        self.release()

    def emit(self, record: logging.LogRecord) -> None:
        if self._is_over:
            return
        told = {
            name.removeprefix(LOG_PREFIX): value
            for name, value in vars(record).items()
            if name.startswith(LOG_PREFIX) and name not in _SAID
        }
        kind = told.pop("event", None)
        if kind is None:
            if record.levelno >= logging.WARNING:
                self._tell("warning", record.getMessage())
        elif kind in _SHOWN and told.get("reason") != "done" and told.get("departed") != told["node"]:
            self._tell(kind, told.pop("message"), **told)
