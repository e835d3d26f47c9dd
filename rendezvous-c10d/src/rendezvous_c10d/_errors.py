"""Errors of stores that are ours and torch's at once: each side catches what it knows."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed
from torch.distributed import DistNetworkError, DistStoreError

from rendezvous_core import (
    QueueEmptyError,
    RendezvousBackendLostError,
    RendezvousConnectionError,
    RendezvousTimeoutError,
)

# Queues, and with them this error, came with torch 2.8.
_TorchQueueEmptyError = getattr(torch.distributed, "QueueEmptyError", DistStoreError)


class StoreTimeoutError(RendezvousTimeoutError, DistStoreError):
    """A blocking call of a store ran out of time."""


class StoreConnectionError(RendezvousConnectionError, DistNetworkError):
    """A store cannot be reached."""


class StoreLostError(RendezvousBackendLostError, StoreConnectionError):
    """The host of a store is gone, with all that it held."""


class StoreQueueEmptyError(QueueEmptyError, _TorchQueueEmptyError):  # type: ignore[misc, valid-type]
    """`queue_pop` was told not to block and found nothing."""


@contextmanager
def known_to_torch() -> Iterator[None]:
    """Raise what our stores raise as errors that code written for torch's stores catches too."""
    try:
        yield
    except torch.distributed.DistError:
        raise
    except RendezvousTimeoutError as error:
        raise StoreTimeoutError(str(error)) from error
    except RendezvousConnectionError as error:
        raise StoreConnectionError(str(error)) from error
    except QueueEmptyError as error:
        raise StoreQueueEmptyError(str(error)) from error
