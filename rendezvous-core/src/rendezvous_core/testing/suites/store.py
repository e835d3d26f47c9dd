"""The contract of `Store` as tests; the modules ``store_*`` hold them."""

from rendezvous_core.testing.suites.store_faults import StoreFaults
from rendezvous_core.testing.suites.store_histories import StoreHistories
from rendezvous_core.testing.suites.store_values import StoreValues
from rendezvous_core.testing.suites.store_waiting import StoreWaiting


class StoreSuite(StoreValues, StoreWaiting, StoreFaults, StoreHistories):
    """A key-value store with atomic operations, whose readers can wait for keys.

    Supply `store_factory`; supply `server` and `link`, or declare that they are lacking, and
    ``process_factory`` where pickle does not take the `store_factory`. May also lack ``durability`` and
    ``large_values``.
    """
