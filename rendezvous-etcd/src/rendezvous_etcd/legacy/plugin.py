"""What the entry point ``etcd`` offers to the registry."""

from collections.abc import Sequence

from rendezvous_core import Option, RendezvousParameters, hookimpl
from rendezvous_core.ports.settings import HANDLER_OPTIONS, SEALING
from rendezvous_etcd.legacy.handler import EtcdRendezvousHandler, create_rdzv_handler
from rendezvous_etcd.legacy.runs import LegacyRuns
from rendezvous_etcd.options import ETCD_PREFIX, LEGACY_OPTIONS, read_connection, runs_path


@hookimpl
def rendezvous_options() -> Sequence[Option]:
    """Declare the options, and those of the dynamic handler: to change the backend must not be a mistake.

    But for a secret: a run that is believed to be sealed must not be open.
    """
    return (*LEGACY_OPTIONS, *(each for each in HANDLER_OPTIONS if each not in SEALING))


@hookimpl
def rendezvous_handler(params: RendezvousParameters) -> EtcdRendezvousHandler:
    """Build the legacy handler; see `create_rdzv_handler`."""
    return create_rdzv_handler(params)


@hookimpl
def rendezvous_runs(params: RendezvousParameters) -> LegacyRuns:
    """Open all runs below ``etcd_prefix``; endpoint and options are those of the handler."""
    return LegacyRuns.opened(read_connection(params), runs_path(ETCD_PREFIX.read(params)))
