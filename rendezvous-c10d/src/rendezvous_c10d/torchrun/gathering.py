"""How the agents of a round make sure that all are there, and agree on where their workers meet."""

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from rendezvous_core import RendezvousConnectionError, RendezvousInfo, RendezvousTimeoutError

T = TypeVar("T")

_SLICE = 1.0
"""After how many seconds of waiting an agent looks whether the round is still worth it."""

_VERDICT = "torchrun/bootstrap"
_CALLED_OFF = b"called off"


class Address(NamedTuple):
    """Where the workers of a round meet."""

    host: str
    port: int


def gather(
    info: RendezvousInfo,
    host: Callable[[RendezvousInfo], Address],
    called_off: Callable[[], bool],
    patience: float,
) -> Address | None:
    """Block until all agents of the round are there and rank 0 has told what ``host`` returned to it.

    torch's agents exchange what they need right after a rendezvous, and die if one of them does not
    answer. A node that was killed while it waited is ranked all the same, as nobody knows yet: so a
    round is handed out only once all have confirmed it. Returns ``None`` where it was ``called_off``
    instead: somebody is lost, or wants in. One key, written once, holds the verdict: the round is
    handed out to all of its agents, or to none.

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
    vote = _CALLED_OFF
    if info.rank != 0:
        arrived([_VERDICT])
    elif arrived([_confirmation(rank) for rank in range(info.world_size)]):
        address = host(info)
        vote = f"{address.port} {address.host}".encode()
    verdict = _persist(lambda: store.compare_set(_VERDICT, b"", vote), deadline)
    if verdict == _CALLED_OFF:
        return None
    port, _, name = verdict.decode().partition(" ")
    return Address(name, int(port))


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
