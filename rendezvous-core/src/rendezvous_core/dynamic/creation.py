"""Makes handlers of what users ask for by name."""

import os
import sys

from rendezvous_core.dynamic.assembly import sealed
from rendezvous_core.dynamic.handler import DynamicRendezvousHandler
from rendezvous_core.dynamic.launchers import find_rank_hint
from rendezvous_core.plugins.loading import adapt_store
from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.settings import (
    ADMIT_NEWCOMERS,
    KEEP_ALIVE_INTERVAL,
    KEEP_ALIVE_MAX_ATTEMPT,
    LAST_CALL,
    METADATA,
    NODES_MULTIPLE_OF,
    RANK_HINT,
    REOPEN,
    SEAL_STORE,
    RendezvousTimeout,
)
from rendezvous_core.ports.store import Store
from rendezvous_core.sealing.keys import find_keyring
from rendezvous_core.sealing.store import sealed_store


def create_handler(
    store: Store, backend: RendezvousBackend, params: RendezvousParameters
) -> DynamicRendezvousHandler:
    """Create a handler from ``params``.

    Reads the options of `HANDLER_OPTIONS`; without ``rank_hint``, what the launcher says of the node.

    Raises:
        ValueError: an option is none that it may be; names it and its range.
    """
    hint = RANK_HINT.read(params)
    keyring = find_keyring(params)
    if SEAL_STORE.read(params):
        store = sealed_store(adapt_store(store), keyring, params.run_id)
    return DynamicRendezvousHandler.from_backend(
        params.run_id,
        store,
        sealed(backend, keyring, params.run_id),
        params.min_nodes,
        params.max_nodes,
        params.local_addr,
        RendezvousTimeout.from_params(params),
        KEEP_ALIVE_INTERVAL.read(params),
        KEEP_ALIVE_MAX_ATTEMPT.read(params),
        METADATA.read(params),
        last_call=LAST_CALL.read(params),
        admit_newcomers=ADMIT_NEWCOMERS.read(params),
        nodes_multiple_of=NODES_MULTIPLE_OF.read(params),
        rank_hint=find_rank_hint(os.environ, sys.argv) if hint is None else hint,
        reopen=REOPEN.read(params),
    )
