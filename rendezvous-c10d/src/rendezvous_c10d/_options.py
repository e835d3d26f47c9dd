"""The options of the backend ``c10d``, and those that the adapter of torchrun reads itself."""

from rendezvous_core.ports.options import Option
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.settings import HANDLER_OPTIONS

STORE_TYPE = Option(
    "store_type",
    "choice",
    "a TCPStore, or a FileStore at a path that all nodes see",
    "tcp",
    choices=("tcp", "file"),
)
IS_HOST = Option("is_host", "boolean", "whether this node hosts the TCPStore", unset="found out")
READ_TIMEOUT = Option("read_timeout", "seconds", "for how long a node waits for an answer", 60)
CONNECT_TIMEOUT = Option(
    "connect_timeout",
    "seconds",
    "for how long a host, or its name, that is not there yet is waited for; at most join_timeout",
    unset="60 s, or read_timeout where only that is given",
)
OPTIONS = (STORE_TYPE, IS_HOST, READ_TIMEOUT, CONNECT_TIMEOUT)

(_JOIN_TIMEOUT,) = (option for option in HANDLER_OPTIONS if option.name == "join_timeout")

USE_BACKEND = Option("use_backend", "text", "the backend behind --rdzv-backend=rendezvous", "")
CLOSE_ON_FAILURE = Option(
    "close_on_failure", "boolean", "whether a node that has failed for good closes the run for all", False
)
MASTER_PORT = "master_port"
"""A port, or a range of them: see `torchrun.creation`."""


def connect_timeout(params: RendezvousParameters) -> float:
    """For how long a node waits for its host: nobody waits longer than for a round."""
    given = CONNECT_TIMEOUT.read(params)
    return float(min(READ_TIMEOUT.read(params) if given is None else given, _JOIN_TIMEOUT.read(params)))
