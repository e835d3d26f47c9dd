"""Our stores as stores of torch."""

import torch.distributed as dist

from rendezvous_c10d._facade import StoreFacade
from rendezvous_core import Store

_kept: list["TorchStore"] = []
"""torch's C++ code holds the C++ half of a store; without its Python half that would be an empty shell."""


def as_torch_store(store: Store) -> dist.Store:
    """Return ``store`` as a ``torch.distributed.Store``: the same keys, waits and timeout.

    It can be used wherever torch takes a store, such as ``init_process_group(store=...)``. Errors
    are ours and torch's at once: a timeout is a `RendezvousTimeoutError` and a ``DistStoreError``,
    a lost connection a `RendezvousConnectionError` and a ``DistNetworkError``.

    What is a torch store already, as the rounds of the backend ``c10d`` have, is returned as it is;
    any other is kept until the process ends, since torch may hold it for as long.
    """
    if isinstance(store, dist.Store):
        return store
    adapter = TorchStore(store)
    _kept.append(adapter)
    return adapter


class TorchStore(StoreFacade, dist.Store):
    """One of our stores, seen by torch. Whoever hands it to C++ code must keep it: see `as_torch_store`."""

    def __init__(self, store: Store) -> None:
        dist.Store.__init__(self)
        self._port = store

    def clone(self) -> dist.Store:
        """See base class."""
        return as_torch_store(self._port.clone())

    # The names under which C++ looks for overrides.
    deleteKey = StoreFacade.delete_key  # noqa: N815
    getNumKeys = StoreFacade.num_keys  # noqa: N815


Store.register(TorchStore)
