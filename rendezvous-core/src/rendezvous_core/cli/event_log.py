"""What the rendezvous logs while a node runs, told as events."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SHOWN = ("coordinates", "departed", "disconnected", "reconnected", "closed")


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


class _EventLog(logging.Handler):
    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event is None:
            if record.levelno >= logging.WARNING:
                self._tell("warning", record.getMessage())
        elif event.kind in _SHOWN and event.details.get("reason") != "done":
            self._tell(event.kind, event.message, node=event.node, **event.details)
