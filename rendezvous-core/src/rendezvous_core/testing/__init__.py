"""The conformance kit: the contract of each port as plain pytest classes to subclass. Extra ``[testing]``.

Subclass a suite, supply its fixtures, and pytest checks your code against the whole contract::

    class TestBackend(MembershipSuite):
        lacks = {"corruption": "any bytes are a state here"}

        @pytest.fixture
        def backend_factory(self, server):
            return lambda run_id: MyBackend(server.endpoint, run_id)

A fixture that is neither supplied nor declared in ``lacks`` fails the tests that need it.
"""

import pytest

for _module in ("backend_suite", "membership_suite", "store_suite", "store_values", "store_waiting"):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")

from rendezvous_core.testing.backend_suite import BackendSuite
from rendezvous_core.testing.membership_suite import MembershipSuite
from rendezvous_core.testing.proxy import Proxy
from rendezvous_core.testing.store_suite import StoreSuite
from rendezvous_core.testing.suite import Link, Server, needs

__all__ = [
    "BackendSuite",
    "Link",
    "MembershipSuite",
    "Proxy",
    "Server",
    "StoreSuite",
    "needs",
]
