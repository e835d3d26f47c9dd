"""The backend over a store of torch."""

from collections.abc import Sequence

import torch
from torch.distributed import Store

from rendezvous_c10d._c10d_store import C10dStore
from rendezvous_core import ServerFacts, StoreBackend


class C10dRendezvousBackend(StoreBackend):
    """Keeps a run in a store of torch; see `StoreBackend` for the keys.

    Args:
        store: any ``torch.distributed.Store`` that has ``compare_set``; a `C10dStore` is taken as it
            is. The attribute ``store`` is what `DynamicRendezvousHandler` takes as its store.
        run_id: the run; runs in one store know nothing of each other.

    Raises:
        ValueError: an empty run id.
    """

    _store: C10dStore

    def __init__(self, store: Store | C10dStore, run_id: str) -> None:
        adapted = store if isinstance(store, C10dStore) else C10dStore(store)
        super().__init__(adapted, run_id, "c10d")

    @property
    def hosts(self) -> Sequence[str] | None:
        """See base class."""
        return self._store.hosts

    def server_facts(self) -> ServerFacts:
        """See base class."""
        return ServerFacts(type(self._store).__name__, f"torch {torch.__version__}")

    def _wait(self, key: str, timeout: float) -> bool:
        # Not `Store.wait`, which asks once more whether the key is there, for a wait ends also when somebody
        # compares the value of a key that is missing: with these keys nobody does.
        return self._store.watch([f"{self._prefix}/{key}"], timeout)
