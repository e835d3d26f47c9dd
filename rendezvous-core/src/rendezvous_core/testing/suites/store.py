"""The contract of `Store` as tests; `store_values`, `store_waiting` and `store_faults` hold them."""

from rendezvous_core.testing.suites.store_faults import StoreFaults
from rendezvous_core.testing.suites.store_values import StoreValues
from rendezvous_core.testing.suites.store_waiting import StoreWaiting


class StoreSuite(StoreValues, StoreWaiting, StoreFaults):
    """A key-value store with atomic operations, whose readers can wait for keys.

    Supply `store_factory`; supply `server` and `link`, or declare that they are lacking. May also lack
    ``durability`` and ``large_values``.
    """
