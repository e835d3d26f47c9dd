"""How a process that ``rdzv run`` started finds the store of its round."""

import os
import weakref
from collections.abc import Mapping

from rendezvous_core.over_store.prefix_store import PrefixStore
from rendezvous_core.ports.endpoint import parse_config
from rendezvous_core.ports.errors import RendezvousError
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.settings import SECRET
from rendezvous_core.ports.store import Store
from rendezvous_core.registry import create_backend, create_store
from rendezvous_core.sealing.keys import FILE_VARIABLE, SECRET_VARIABLE

BACKEND = "RDZV_BACKEND"
ENDPOINT = "RDZV_ENDPOINT"
RUN_ID = "RDZV_RUN_ID"
CONF = "RDZV_CONF"
STORE_PREFIX = "RDZV_STORE_PREFIX"


def run_environment(params: RendezvousParameters) -> dict[str, str]:
    """Return the variables that tell other processes which run is meant, and how to reach it."""
    # A secret may hold what separates options, and has a variable of its own.
    options = {key: value for key, value in params.config.items() if key != SECRET.name}
    secret = SECRET.read(params)
    return {
        BACKEND: params.backend,
        ENDPOINT: params.endpoint,
        RUN_ID: params.run_id,
        CONF: ",".join(f"{key}={value}" for key, value in options.items()),
        **({SECRET_VARIABLE: secret, FILE_VARIABLE: ""} if secret else {}),
    }


def store_from_env(environ: Mapping[str, str] = os.environ) -> Store:
    """Open the store that the commands of the present round share, in a command of ``rdzv run``.

    Takes no part in the run. Each call opens a connection of its own, closed when the store is
    garbage-collected or the interpreter exits.

    Raises:
        RendezvousError: this process was not started by ``rdzv run``.
        RendezvousConnectionError: the backend cannot be reached.
    """
    prefix = environ.get(STORE_PREFIX)
    if not prefix:
        raise RendezvousError(
            f"{STORE_PREFIX} is not set: start this program with 'rdzv run', which gives it its store."
        )
    params = RendezvousParameters(
        environ.get(BACKEND, ""),
        environ.get(ENDPOINT, ""),
        environ.get(RUN_ID, ""),
        1,
        1,
        **parse_config(environ.get(CONF, "")),
    )
    backend = create_backend(params)
    try:
        store = PrefixStore(prefix, create_store(params, backend))
    except BaseException:
        backend.close()
        raise
    weakref.finalize(store, backend.close)
    return store
