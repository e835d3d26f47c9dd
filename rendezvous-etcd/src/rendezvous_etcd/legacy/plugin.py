"""What the entry point ``etcd`` offers to the registry."""

from rendezvous_core import RendezvousParameters, hookimpl
from rendezvous_etcd.legacy.handler import EtcdRendezvousHandler, create_rdzv_handler


@hookimpl
def rendezvous_handler(params: RendezvousParameters) -> EtcdRendezvousHandler:
    """Build the legacy handler; see `create_rdzv_handler`."""
    return create_rdzv_handler(params)
