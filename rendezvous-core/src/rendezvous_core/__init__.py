"""Elastic rendezvous: nodes that come, go and crash agree on membership, ranks and a shared store."""

from typing import TYPE_CHECKING, Any

from rendezvous_core._backend import Members, MembershipBackend, RendezvousBackend, Token
from rendezvous_core._endpoint import Endpoint, parse_endpoint, parse_endpoints
from rendezvous_core._environment import store_from_env
from rendezvous_core._errors import (
    RendezvousBackendLostError,
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousGracefulExitError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from rendezvous_core._handler import RendezvousHandler, RendezvousInfo, RendezvousStoreInfo
from rendezvous_core._hookspecs import RankCandidate, RendezvousEvent, hookimpl
from rendezvous_core._params import RendezvousParameters
from rendezvous_core._plugins import RendezvousPluginError
from rendezvous_core._prefix_store import PrefixStore
from rendezvous_core._registry import (
    RendezvousHandlerCreator,
    RendezvousHandlerRegistry,
    UnknownBackendError,
    get_rendezvous_handler,
    rendezvous_handler_registry,
)
from rendezvous_core._settings import RendezvousSettings, RendezvousTimeout
from rendezvous_core._store import QueueEmptyError, Store
from rendezvous_core._store_backend import StoreBackend

if TYPE_CHECKING:
    from rendezvous_core.dynamic.handler import DynamicRendezvousHandler, create_handler

__all__ = [
    "DynamicRendezvousHandler",
    "Endpoint",
    "Members",
    "MembershipBackend",
    "PrefixStore",
    "QueueEmptyError",
    "RankCandidate",
    "RendezvousBackend",
    "RendezvousBackendLostError",
    "RendezvousClosedError",
    "RendezvousConnectionError",
    "RendezvousError",
    "RendezvousEvent",
    "RendezvousGracefulExitError",
    "RendezvousHandler",
    "RendezvousHandlerCreator",
    "RendezvousHandlerRegistry",
    "RendezvousInfo",
    "RendezvousParameters",
    "RendezvousPluginError",
    "RendezvousSettings",
    "RendezvousStateError",
    "RendezvousStoreInfo",
    "RendezvousTimeout",
    "RendezvousTimeoutError",
    "Store",
    "StoreBackend",
    "Token",
    "UnknownBackendError",
    "create_handler",
    "get_rendezvous_handler",
    "hookimpl",
    "parse_endpoint",
    "parse_endpoints",
    "rendezvous_handler_registry",
    "store_from_env",
]


def __getattr__(name: str) -> Any:
    # The protocol is loaded with the first handler, so that merely importing this package stays cheap.
    if name in ("DynamicRendezvousHandler", "create_handler"):
        from rendezvous_core.dynamic import handler

        return getattr(handler, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
