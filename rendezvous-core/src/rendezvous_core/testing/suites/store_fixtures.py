"""What the tests of a store start from."""

from collections.abc import Callable

import pytest

from rendezvous_core.ports.store import Store
from rendezvous_core.testing.suites.base import Suite, required


class StoreFixtures(Suite):
    """Clients of the store of one run."""

    @pytest.fixture
    def store_factory(self) -> Callable[[str], Store]:
        """Required: a function that opens one more client of the store of the run id it is given.

        Close what it opened where the fixture ends.
        """
        required("store_factory", "a function from a run id to a new store, one client of one server")

    @pytest.fixture
    def connect(self, store_factory: Callable[[str], Store], run_id: str) -> Callable[..., Store]:
        """Open clients, of the run of this test where no other is named."""

        def connect(run: str = run_id) -> Store:
            store = store_factory(run)
            store.set_timeout(2 * self.patience)
            return store

        return connect

    @pytest.fixture
    def store(self, connect: Callable[..., Store]) -> Store:
        """A client."""
        return connect()

    @pytest.fixture
    def other(self, connect: Callable[..., Store]) -> Store:
        """Another client of the same store."""
        return connect()
