"""Whether what concurrent clients were told of a register, a key or a queue can be true.

A history is linearizable if each operation can have happened at one moment between its call and its return.
The search for such moments is that of Wing and Gong ("Testing and verifying concurrent objects", 1993), which
remembers where it has been, as Lowe does ("Testing for linearizability", 2017). An operation whose outcome is
unknown, since its reply or its client was lost, may have happened at any moment after its call, or never.
"""

from rendezvous_core.testing.linearizability.history import UNKNOWN, Operation, describe
from rendezvous_core.testing.linearizability.models import key_model, register_model
from rendezvous_core.testing.linearizability.queues import find_queue_violation
from rendezvous_core.testing.linearizability.search import UndecidedError, is_linearizable
from rendezvous_core.testing.linearizability.shrinking import find_violation

__all__ = [
    "UNKNOWN",
    "Operation",
    "UndecidedError",
    "describe",
    "find_queue_violation",
    "find_violation",
    "is_linearizable",
    "key_model",
    "register_model",
]
