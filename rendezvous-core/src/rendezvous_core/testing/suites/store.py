"""The contract of `Store` as tests; `store_values`, `store_waiting` and `store_faults` hold them."""

from rendezvous_core.testing.suites.store_faults import StoreFaults
from rendezvous_core.testing.suites.store_values import StoreValues
from rendezvous_core.testing.suites.store_waiting import StoreWaiting


class StoreSuite(StoreValues, StoreWaiting, StoreFaults):
    """A key-value store with atomic operations, whose readers can wait for keys.

    Supply `store_factory`; supply or declare as lacking `server` and `link`. May lack: ``server``,
    ``durability`` (the keys survive a restart of the server), ``link``, ``large_values``.
    """
