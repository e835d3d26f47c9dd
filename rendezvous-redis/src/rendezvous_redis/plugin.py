"""What the entry point ``redis`` offers to the registry."""

from collections.abc import Sequence
from dataclasses import replace

from rendezvous_core import Option, RendezvousBackend, RendezvousParameters, hookimpl
from rendezvous_core.ports.settings import read_silence
from rendezvous_redis._backend import RedisRendezvousBackend
from rendezvous_redis._options import OPTIONS, RedisOptions
from rendezvous_redis._run import RedisRun
from rendezvous_redis._runs import RedisRuns
from rendezvous_redis._store import RedisStore

_LEAST_VIEW_TTL = 60.0
"""Seconds for which what a past round has stored outlives the last heartbeat of those who hold it."""


def create_backend(params: RendezvousParameters) -> tuple[RedisRendezvousBackend, RedisStore]:
    """Open the backend and the store of the run ``params.run_id``; closing the backend closes both.

    ``params.endpoint`` is ``host[:port]``, a URL as ``redis://``, ``rediss://``, ``unix://``,
    ``sentinel://`` or ``cluster://``, or empty for the local server. The options of ``params`` are those
    of `RedisOptions`.

    Raises:
        ValueError: the endpoint or an option is wrong, or the run id is empty.
        RendezvousConnectionError: the server cannot be reached.
        RendezvousStateError: it refuses the credentials or a command.
    """
    run = RedisRun(params.endpoint, params.run_id, _options(params))
    return RedisRendezvousBackend(run), RedisStore(run)


@hookimpl
def rendezvous_options() -> Sequence[Option]:
    """Declare the options."""
    return OPTIONS


@hookimpl
def rendezvous_backend(params: RendezvousParameters) -> RedisRendezvousBackend:
    """Open the backend; see `create_backend`."""
    return create_backend(params)[0]


@hookimpl
def rendezvous_store(params: RendezvousParameters, backend: RendezvousBackend) -> RedisStore | None:
    """Open the store over the connections of ``backend``."""
    return RedisStore(backend.run) if isinstance(backend, RedisRendezvousBackend) else None


@hookimpl
def rendezvous_runs(params: RendezvousParameters) -> RedisRuns:
    """Open all runs that have the prefix ``key_prefix``; endpoint and options are those of a backend."""
    return RedisRuns(params.endpoint, _options(params))


def _options(params: RendezvousParameters) -> RedisOptions:
    options = RedisOptions.from_params(params)
    silence = read_silence(params)
    if options.ttl < 2 * silence:
        raise ValueError(
            f"The option 'ttl' ({options.ttl:g} seconds) must be at least twice keep_alive_interval * "
            f"keep_alive_max_attempt ({silence:g} seconds), or the keys of a live run could expire."
        )
    return replace(options, view_ttl=min(options.ttl, max(_LEAST_VIEW_TTL, 2 * silence)))
