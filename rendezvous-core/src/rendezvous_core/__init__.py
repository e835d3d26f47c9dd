"""Elastic rendezvous: nodes that come, go and crash agree on membership, ranks and a shared store.

Nothing is imported before it is asked for: torch loads our entry points whenever it is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rendezvous_core._backend import Members, MembershipBackend, RendezvousBackend, Token
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
    from rendezvous_core._plugins import RendezvousPluginError, installed_backends
    from rendezvous_core._prefix_store import PrefixStore
    from rendezvous_core._registry import (
        RendezvousHandlerCreator,
        RendezvousHandlerRegistry,
        UnknownBackendError,
        get_rendezvous_handler,
        rendezvous_handler_registry,
    )
    from rendezvous_core._settings import RendezvousSettings, RendezvousTimeout
    from rendezvous_core._store_backend import StoreBackend
    from rendezvous_core.dynamic.handler import DynamicRendezvousHandler, create_handler
    from rendezvous_core.endpoint import Endpoint, parse_endpoint, parse_endpoints
    from rendezvous_core.store import QueueEmptyError, Store

_HOMES = {
    "DynamicRendezvousHandler": "dynamic.handler",
    "Endpoint": "endpoint",
    "Members": "_backend",
    "MembershipBackend": "_backend",
    "PrefixStore": "_prefix_store",
    "QueueEmptyError": "store",
    "RankCandidate": "_hookspecs",
    "RendezvousBackend": "_backend",
    "RendezvousBackendLostError": "_errors",
    "RendezvousClosedError": "_errors",
    "RendezvousConnectionError": "_errors",
    "RendezvousError": "_errors",
    "RendezvousEvent": "_hookspecs",
    "RendezvousGracefulExitError": "_errors",
    "RendezvousHandler": "_handler",
    "RendezvousHandlerCreator": "_registry",
    "RendezvousHandlerRegistry": "_registry",
    "RendezvousInfo": "_handler",
    "RendezvousParameters": "_params",
    "RendezvousPluginError": "_plugins",
    "RendezvousSettings": "_settings",
    "RendezvousStateError": "_errors",
    "RendezvousStoreInfo": "_handler",
    "RendezvousTimeout": "_settings",
    "RendezvousTimeoutError": "_errors",
    "Store": "store",
    "StoreBackend": "_store_backend",
    "Token": "_backend",
    "UnknownBackendError": "_registry",
    "create_handler": "dynamic.handler",
    "get_rendezvous_handler": "_registry",
    "hookimpl": "_hookspecs",
    "installed_backends": "_plugins",
    "parse_endpoint": "endpoint",
    "parse_endpoints": "endpoint",
    "rendezvous_handler_registry": "_registry",
    "store_from_env": "_environment",
}

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
    "installed_backends",
    "parse_endpoint",
    "parse_endpoints",
    "rendezvous_handler_registry",
    "store_from_env",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
