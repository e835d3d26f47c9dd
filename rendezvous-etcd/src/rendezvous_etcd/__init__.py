"""Elastic rendezvous over etcd: the v3 API, the v2 API, and torch's legacy protocol.

Nothing is imported before it is asked for: the two APIs need different client libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rendezvous_etcd.factory import create_backend
    from rendezvous_etcd.legacy.handler import EtcdRendezvousHandler, create_rdzv_handler
    from rendezvous_etcd.legacy.rendezvous import EtcdRendezvous
    from rendezvous_etcd.server import EtcdServer
    from rendezvous_etcd.v2.backend import EtcdRendezvousBackend
    from rendezvous_etcd.v2.store import EtcdStore
    from rendezvous_etcd.v3.backend import Etcd3RendezvousBackend
    from rendezvous_etcd.v3.client import Etcd3Client
    from rendezvous_etcd.v3.store import Etcd3Store

_HOMES = {
    "Etcd3Client": "v3.client",
    "Etcd3RendezvousBackend": "v3.backend",
    "Etcd3Store": "v3.store",
    "EtcdRendezvous": "legacy.rendezvous",
    "EtcdRendezvousBackend": "v2.backend",
    "EtcdRendezvousHandler": "legacy.handler",
    "EtcdServer": "server",
    "EtcdStore": "v2.store",
    "create_backend": "factory",
    "create_rdzv_handler": "legacy.handler",
}

__all__ = [
    "Etcd3Client",
    "Etcd3RendezvousBackend",
    "Etcd3Store",
    "EtcdRendezvous",
    "EtcdRendezvousBackend",
    "EtcdRendezvousHandler",
    "EtcdServer",
    "EtcdStore",
    "create_backend",
    "create_rdzv_handler",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
