"""What the entry point ``sqlite`` offers to the registry."""

import re

from rendezvous_core.plugins.hookspecs import hookimpl
from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.ports.options import Option
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.redaction import redact
from rendezvous_core.sqlite.backend import SqliteBackend
from rendezvous_core.sqlite.runs import SqliteRuns
from rendezvous_core.sqlite.store import SqliteStore


@hookimpl
def rendezvous_options() -> tuple[Option, ...]:
    """Declare that there are none beside those of the handler."""
    return ()


@hookimpl
def rendezvous_backend(params: RendezvousParameters) -> SqliteBackend:
    """Open the run in the file ``params.endpoint``; where it is empty, in the default one of this user.

    Raises:
        ValueError: the endpoint is the address of a server, or no path; or the run id is empty.
    """
    return SqliteBackend(_path(params.endpoint), params.run_id)


@hookimpl
def rendezvous_store(params: RendezvousParameters, backend: RendezvousBackend) -> SqliteStore:
    """Open the store of the run, in the file of its backend."""
    path = backend.path if isinstance(backend, SqliteBackend) else params.endpoint
    return SqliteStore(path, params.run_id)


@hookimpl
def rendezvous_runs(params: RendezvousParameters) -> SqliteRuns:
    """Open all runs in the file ``params.endpoint``; raises as `rendezvous_backend` does."""
    return SqliteRuns(_path(params.endpoint))


def _path(endpoint: str) -> str:
    if re.match(r"[^/]*:(?!//)|[^/]*\?.*=", endpoint) or "\0" in endpoint:
        raise ValueError(
            f"The endpoint of the sqlite backend is the path of a file, not {redact(endpoint)!r}: "
            "leave it empty for the default one, write ./ before a name like this, or name the backend that "
            "it is for."
        )
    return endpoint
