"""From the parameters of torchrun to a handler."""

import logging
from collections.abc import Sequence
from typing import Any

from rendezvous_c10d._options import CLOSE_ON_FAILURE, MASTER_PORT, OF_TORCHRUN, USE_BACKEND
from rendezvous_c10d.torchrun.errors import as_torch_raises
from rendezvous_c10d.torchrun.handler import TorchrunHandler
from rendezvous_core import (
    RendezvousParameters,
    backend_of,
    backend_options,
    get_rendezvous_handler,
    installed_backends,
)
from rendezvous_core.ports.options import check_options
from rendezvous_core.ports.settings import JOIN_TIMEOUT
from rendezvous_core.ports.spelling import nearest

_ANY = "rendezvous"
"""The name in torchrun behind which every backend can be reached."""

_logger = logging.getLogger("rendezvous_c10d")


def create_handler(params: Any) -> TorchrunHandler:
    """Create the handler of a torchrun agent.

    ``params`` are torch's; torchrun gives all options as text. What the adapter itself knows:

    - ``use_backend``: the backend, where torchrun was called with ``--rdzv-backend=rendezvous``; by
      default that of the endpoint's scheme, as in ``redis://host``.
      (torchrun itself takes an option ``backend`` for a mistake.)
    - ``master_port`` (any): the port at which the workers of a round meet, or several as ``29500-29599``,
      of which the first that is free is taken.
    - ``close_on_failure`` (false): a node whose workers failed for good closes the run for all, as
      torch's own handler does, instead of leaving it to the others.

    All others are those of the backend and of `rendezvous_core.create_handler`.

    Raises:
        ValueError: an option or the endpoint is wrong.
        torch.distributed.elastic.rendezvous.RendezvousError: the backend is not installed, or
            cannot be reached.
    """
    given = RendezvousParameters(params.backend, params.endpoint, params.run_id, 1, 1, **params.config)
    name = _backend(given)
    if params.run_id == "none":
        _logger.warning(
            "torchrun was called without --rdzv-id: all such jobs of one server meet in the run 'none', and "
            "while there is room two of the same command are taken for nodes of one job."
        )
    own = {option.name for option in OF_TORCHRUN}
    others = {key: value for key, value in params.config.items() if key not in own}
    ours = RendezvousParameters(
        name, params.endpoint, params.run_id, params.min_nodes, params.max_nodes, params.local_addr, **others
    )
    with as_torch_raises():
        if (options := backend_options(ours)) is not None:
            check_options(name, params.config, (*options, *OF_TORCHRUN))
        ports = _ports(name, str(given.get(MASTER_PORT.name, "")).strip())
        close_on_failure = CLOSE_ON_FAILURE.read(given)
        patience = JOIN_TIMEOUT.read(ours)
        handler = get_rendezvous_handler(ours)
    return TorchrunHandler(handler, params.backend, params.local_addr, close_on_failure, patience, ports)


def _backend(given: RendezvousParameters) -> str:
    name = str(USE_BACKEND.read(given))
    if given.backend != _ANY:
        if name:
            raise ValueError(
                f"The option 'use_backend' ({name!r}) is for --rdzv-backend={_ANY}, and this is "
                f"--rdzv-backend={given.backend}: give one of them."
            )
        return given.backend
    name = name or backend_of(given.endpoint) or ""
    if not name:
        installed = ", ".join(backend.name for backend in installed_backends())
        misspelt = [key for key in given.config if nearest(key, [USE_BACKEND.name])]
        raise ValueError(
            f"--rdzv-backend={_ANY} needs the backend's name in --rdzv-conf=use_backend=<name>"
            + (f", and was given '{misspelt[0]}'. " if misspelt else ". ")
            + f"Installed: {installed}."
        )
    return name


def _ports(backend: str, given: str) -> Sequence[int]:
    if not given:
        return (0,)
    if backend == "static":
        raise ValueError(
            f"The option 'master_port' ({given!r}) has no use with the backend static: the endpoint is where "
            "its workers meet."
        )
    first, dash, last = (part.strip() for part in given.partition("-"))
    if not (_is_port(first) and (_is_port(last) if dash else True) and int(first) <= int(last or first)):
        raise ValueError(
            f"The option 'master_port' ({given!r}) must be a port from 1 to 65535, or a range of them such "
            "as 29500-29599."
        )
    return range(int(first), int(last or first) + 1)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= 65535
