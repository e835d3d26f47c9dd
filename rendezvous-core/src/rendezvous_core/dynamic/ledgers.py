"""Keeps the ledgers of a run in its shared store, where they are too long for the state."""

from collections.abc import Sequence

from rendezvous_core.ports.errors import RendezvousStateError
from rendezvous_core.ports.store import Store
from rendezvous_core.records.codec import decode_page, encode_page
from rendezvous_core.records.ledger import Page, whole
from rendezvous_core.records.state import State


class Ledgers:
    """The ledgers of the run ``run_id``, in ``store``: a key for each page."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self._prefix = store, f"rendezvous/{run_id}/ledger"

    def write(self, ledger: str, pages: Sequence[Page]) -> None:
        """Store a ledger whose id is new."""
        self._store.multi_set(self._keys(ledger, range(len(pages))), [encode_page(page) for page in pages])

    def read(self, ledger: str, numbers: Sequence[int]) -> list[Page] | None:
        """Return some pages; ``None`` where one is missing, or cannot be read."""
        try:
            found = self._store.peek_all(self._keys(ledger, numbers))
            return [decode_page(data) for data in found if data is not None] if None not in found else None
        except RendezvousStateError:
            return None

    def drop(self, ledger: str, pages: int) -> None:
        """Delete a ledger that no state names any more."""
        for key in self._keys(ledger, range(pages)):
            self._store.delete_key(key)

    def complete(self, state: State) -> State:
        """Return ``state`` with its ledger; as it is where that is lost, or has just been replaced."""
        if state.is_whole or state.apart is None:
            return state
        found = self.read(state.apart.id, range(state.apart.pages))
        return (whole(state, found) if found else None) or state

    def _keys(self, ledger: str, numbers: Sequence[int]) -> list[str]:
        return [f"{self._prefix}/{ledger}/{number}" for number in numbers]
