"""How the agents of a round make sure that all are there, and agree on where their workers meet."""

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousInfo,
    RendezvousTimeoutError,
)

T = TypeVar("T")

_SLICE = 1.0
"""After how many seconds of waiting an agent looks whether the round is still worth it."""

_BOOTSTRAP = "torchrun/bootstrap"


class Address(NamedTuple):
    """Where the workers of a round meet."""

    host: str
    port: int


def gather(
    info: RendezvousInfo, host: Callable[[], Address], called_off: Callable[[], bool], patience: float
) -> Address | None:
    """Block until all agents of the round are there and rank 0 has told the address of ``host()``.

    torch's agents exchange what they need right after a rendezvous, and die if one of them does not
    answer. A node that was killed while it waited is ranked all the same, as nobody knows yet: so a
    round is handed out only once all have confirmed it. Returns ``None`` where it was ``called_off``
    instead: somebody is lost, or wants in.

    Raises:
        RendezvousTimeoutError: somebody neither confirmed nor died within ``patience`` seconds.
        RendezvousConnectionError: the store could not be reached for so long.
    """
    deadline = time.monotonic() + patience
    store = info.store

    def arrived(keys: list[str]) -> bool:
        while True:
            try:
                _persist(lambda: store.wait(keys, _SLICE), deadline)
            except RendezvousTimeoutError as error:
                if called_off():
                    return False
                if time.monotonic() > deadline:
                    raise RendezvousTimeoutError(
                        f"The round is complete, but not all of its {info.world_size} agents have confirmed "
                        f"it within {patience:g} s; are all of them torchrun's? {error}"
                    ) from error
            else:
                return True

    _persist(lambda: store.set(_confirmation(info.rank), b"1"), deadline)
    if info.rank != 0:
        if not arrived([_BOOTSTRAP]):
            return None
        port, _, name = _persist(lambda: store.get(_BOOTSTRAP), deadline).decode().partition(" ")
        return Address(name, int(port))
    if not arrived([_confirmation(rank) for rank in range(info.world_size)]):
        return None
    address = host()
    _persist(lambda: store.set(_BOOTSTRAP, f"{address.port} {address.host}"), deadline)
    return address


def _confirmation(rank: int) -> str:
    return f"torchrun/confirmed/{rank}"


def _persist(call: Callable[[], T], deadline: float) -> T:
    """Repeat ``call``, which does no harm twice, through a broken connection."""
    pause = 0.01
    while True:
        try:
            return call()
        except RendezvousConnectionError:
            if time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 1.0)
