"""The hooks of the backend ``c10d``, and of the stores of torch."""

import torch.distributed as dist

from rendezvous_c10d._c10d_store import C10dStore
from rendezvous_c10d._creation import create_backend, open_runs
from rendezvous_c10d._options import OPTIONS
from rendezvous_core import RendezvousBackend, RendezvousParameters, Runs, Store, hookimpl
from rendezvous_core.ports.options import Option


@hookimpl
def rendezvous_options() -> tuple[Option, ...]:
    """Declare what this backend has beside the options of the handler."""
    return OPTIONS


@hookimpl
def rendezvous_backend(params: RendezvousParameters) -> RendezvousBackend:
    """Open the backend; core takes its store for the one that is shared."""
    return create_backend(params)[0]


@hookimpl
def rendezvous_runs(params: RendezvousParameters) -> Runs:
    """Open the run of a TCPStore, or those of a file."""
    return open_runs(params)


@hookimpl
def rendezvous_adapt_store(store: object) -> Store | None:
    """Let a program hand in any store of torch, as torch's own handler takes it."""
    return C10dStore(store) if isinstance(store, dist.Store) else None
