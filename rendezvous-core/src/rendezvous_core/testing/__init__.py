"""The conformance kit: the contract of each port as plain pytest classes to subclass. Extra ``[testing]``.

Subclass a suite, supply its fixtures, and pytest checks your code against the whole contract::

    class TestBackend(MembershipSuite):
        lacks: ClassVar = {"corrupt": "any bytes are a state here"}

        @pytest.fixture
        def backend_factory(self, my_server):
            return lambda run_id: MyBackend(my_server.endpoint, run_id)

A fixture that is neither supplied nor declared in ``lacks`` fails the tests that need it.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rendezvous_core.testing.memory import MemoryBackend, MemoryRuns, MemoryServer, MemoryStore
    from rendezvous_core.testing.proxy import Proxy
    from rendezvous_core.testing.suites.backend import BackendSuite
    from rendezvous_core.testing.suites.base import Link, Server
    from rendezvous_core.testing.suites.handler import HandlerSuite
    from rendezvous_core.testing.suites.membership import MembershipSuite
    from rendezvous_core.testing.suites.plugin import PluginSuite
    from rendezvous_core.testing.suites.store import StoreSuite

__all__ = [
    "BackendSuite",
    "HandlerSuite",
    "Link",
    "MembershipSuite",
    "MemoryBackend",
    "MemoryRuns",
    "MemoryServer",
    "MemoryStore",
    "PluginSuite",
    "Proxy",
    "Server",
    "StoreSuite",
]

_HOMES = {
    "BackendSuite": "suites.backend",
    "HandlerSuite": "suites.handler",
    "Link": "suites.base",
    "MembershipSuite": "suites.membership",
    "MemoryBackend": "memory",
    "MemoryRuns": "memory",
    "MemoryServer": "memory",
    "MemoryStore": "memory",
    "PluginSuite": "suites.plugin",
    "Proxy": "proxy",
    "Server": "suites.base",
    "StoreSuite": "suites.store",
}


def __getattr__(name: str) -> Any:
    # The memory backend serves where pytest is not installed: the suites alone load it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name].startswith("suites.") and f"{__name__}.suites" not in sys.modules:
        import pytest

        pytest.register_assert_rewrite(f"{__name__}.suites")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
