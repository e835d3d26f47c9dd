"""What a client writes down of its calls, so that nothing is lost when it is killed."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousTimeoutError
from rendezvous_core.testing.linearizability.history import UNKNOWN, Operation


class Return(NamedTuple):
    """That the latest call of a client has returned."""

    client: str
    moment: int
    result: Any


Event = Operation | Return
"""An operation is told of when it is called, as one of unknown outcome."""


class Journal:
    """Tells ``note`` of each call of one client before it is made, and of each result."""

    def __init__(self, client: str, note: Callable[[Event], object]) -> None:
        self.client = client
        self._note = note

    def call(self, key: str, method: str, arguments: tuple[Any, ...], function: Callable[[], Any]) -> Any:
        """Call ``function``, and return its result, or `UNKNOWN` where a connection or the time was lost."""
        # One clock for all processes of a machine, which is where they all are.
        self._note(Operation(self.client, key, method, arguments, time.monotonic_ns()))
        try:
            result = function()
        except (RendezvousConnectionError, RendezvousTimeoutError):
            return UNKNOWN
        self._note(Return(self.client, time.monotonic_ns(), result))
        return result


def gather(events: Iterable[Event]) -> list[Operation]:
    """Put calls and returns together; the events of each client are in their order."""
    operations: defaultdict[str, list[Operation]] = defaultdict(list)
    for event in events:
        if isinstance(event, Operation):
            operations[event.client].append(event)
        else:
            own = operations[event.client]
            own[-1] = replace(own[-1], returned=event.moment, result=event.result)
    return [each for own in operations.values() for each in own]
