"""The runs that `StoreBackend` keeps in one store."""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from rendezvous_core.over_store.backend import StoreBackend
from rendezvous_core.ports.runs import Runs, StoredRun
from rendezvous_core.ports.store import Store

_STATE = re.compile(r"rendezvous-run/([^/]+)/state")
_ROUND = r"(?:[0-9]+/[0-9a-f]{16}/.*|ledger/[0-9a-f]{16}/[0-9]+|[a-z]+)"
"""What follows the run id in the keys of the shared store; ids that begin alike stay apart by it."""


class StoreRuns(Runs):
    """Knows the runs of a store by its keys, so `Store.list_keys` must work.

    Args:
        store: the store; closing this does not touch it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> Mapping[str, StoredRun]:
        """See base class."""
        runs = {}
        named = [found for key in self._store.list_keys() if (found := _STATE.fullmatch(key))]
        for run_id in [unquote(found[1]) for found in named]:
            backend = StoreBackend(self._store, run_id)
            if state := backend.get_state():
                runs[run_id] = StoredRun(state[0], backend.members().records)
        return runs

    def delete(self, run_id: str) -> None:
        """See base class."""
        shared = re.compile(f"rendezvous/{re.escape(run_id)}/{_ROUND}", re.DOTALL)
        for key in filter(shared.fullmatch, self._store.list_keys()):
            self._store.delete_key(key)
        self._store.forget(StoreBackend(self._store, run_id).prefix)
