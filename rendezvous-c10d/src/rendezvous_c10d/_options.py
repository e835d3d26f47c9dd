"""The options of the backend ``c10d``, and those that the adapter of torchrun reads itself."""

from rendezvous_core.ports.options import Option
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.settings import JOIN_TIMEOUT

STORE_TYPE = Option(
    "store_type",
    "choice",
    "a TCPStore, or a FileStore at a path that all nodes see",
    "tcp",
    choices=("tcp", "file"),
)
IS_HOST = Option("is_host", "boolean", "whether this node hosts the TCPStore", unset="found out")
CONNECT_TIMEOUT = Option(
    "connect_timeout",
    "seconds",
    "for how long a host, or its name, that is not there yet is waited for; at most `join_timeout`",
    unset="60 s, or `read_timeout` where only that is given",
)
READ_TIMEOUT = Option("read_timeout", "seconds", "for how long a node waits for an answer", 60)
OPTIONS = (STORE_TYPE, IS_HOST, CONNECT_TIMEOUT, READ_TIMEOUT)

USE_BACKEND = Option(
    "use_backend",
    "text",
    "the backend behind `--rdzv-backend=rendezvous` (torchrun keeps the name `backend` for itself)",
    "",
    unset="that of the endpoint's scheme",
)
CLOSE_ON_FAILURE = Option(
    "close_on_failure", "boolean", "whether a node without restarts left closes the run for all", False
)
MASTER_PORT = Option(
    "master_port",
    "text",
    "the port at which the workers of a round meet, or a range such as `29500-29599`, of which the first "
    "free one is taken, for networks whose firewalls let nothing else through",
    unset="any",
)
OF_TORCHRUN = (USE_BACKEND, CLOSE_ON_FAILURE, MASTER_PORT)
"""What the adapter reads itself, whatever the backend is."""


def connect_timeout(params: RendezvousParameters) -> float:
    """For how long a node waits for its host: nobody waits longer than for a round."""
    given = CONNECT_TIMEOUT.read(params)
    return float(min(READ_TIMEOUT.read(params) if given is None else given, JOIN_TIMEOUT.read(params)))
