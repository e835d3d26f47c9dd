"""Elastic rendezvous: nodes that come, go and crash agree on membership, ranks and a shared store."""

from rendezvous_core._backend import MembershipBackend, Members, RendezvousBackend, Token
from rendezvous_core._errors import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousGracefulExitError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from rendezvous_core._handler import RendezvousHandler, RendezvousInfo, RendezvousStoreInfo
from rendezvous_core._settings import RendezvousSettings, RendezvousTimeout
from rendezvous_core._store import Store

__all__ = [
    "Members",
    "MembershipBackend",
    "RendezvousBackend",
    "RendezvousClosedError",
    "RendezvousConnectionError",
    "RendezvousError",
    "RendezvousGracefulExitError",
    "RendezvousHandler",
    "RendezvousInfo",
    "RendezvousSettings",
    "RendezvousStateError",
    "RendezvousStoreInfo",
    "RendezvousTimeout",
    "RendezvousTimeoutError",
    "Store",
    "Token",
]
