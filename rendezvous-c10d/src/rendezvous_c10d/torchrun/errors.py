"""Our errors as torch's."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch.distributed.elastic import rendezvous

import rendezvous_core

_KINDS = (
    (rendezvous_core.RendezvousClosedError, rendezvous.RendezvousClosedError),
    (rendezvous_core.RendezvousTimeoutError, rendezvous.RendezvousTimeoutError),
    (rendezvous_core.RendezvousConnectionError, rendezvous.RendezvousConnectionError),
    (rendezvous_core.RendezvousStateError, rendezvous.RendezvousStateError),
    (rendezvous_core.RendezvousGracefulExitError, rendezvous.RendezvousGracefulExitError),
    (rendezvous_core.RendezvousError, rendezvous.RendezvousError),
)


@contextmanager
def as_torch_raises() -> Iterator[None]:
    """Raise torch's class of the same name instead of ours, caused by ours. Nothing else is touched."""
    try:
        yield
    except rendezvous_core.RendezvousError as error:
        raise next(theirs for ours, theirs in _KINDS if isinstance(error, ours))(str(error)) from error
