"""The conformance kit: the contract of each port as plain pytest classes to subclass. Extra ``[testing]``.

Subclass a suite, supply its fixtures, and pytest checks your code against the whole contract::

    class TestBackend(MembershipSuite):
        lacks: ClassVar = {"corrupt": "any bytes are a state here"}

        @pytest.fixture
        def backend_factory(self, my_server):
            return lambda run_id: MyBackend(my_server.endpoint, run_id)

A fixture that is neither supplied nor declared in ``lacks`` fails the tests that need it.
"""
# ruff: noqa: E402

import pytest

pytest.register_assert_rewrite(f"{__name__}.suites")

from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
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
    "MemoryServer",
    "MemoryStore",
    "PluginSuite",
    "Proxy",
    "Server",
    "StoreSuite",
]
