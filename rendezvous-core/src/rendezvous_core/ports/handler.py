"""The port of a handler, and what a completed round hands out."""

import math
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, NoReturn, Self

from rendezvous_core.ports.addresses import address_towards, is_loopback, loopback_id, resolves
from rendezvous_core.ports.errors import RendezvousError
from rendezvous_core.ports.notice import Notice
from rendezvous_core.ports.store import Store, peek


@dataclass
class RendezvousStoreInfo:
    """The address at which the workers of a round bootstrap their own communication."""

    MASTER_ADDR_KEY: ClassVar[str] = "MASTER_ADDR"
    MASTER_PORT_KEY: ClassVar[str] = "MASTER_PORT"
    master_addr: str
    master_port: int

    @staticmethod
    def build(
        rank: int, store: Store, local_addr: str | None, server_port: int | None = None
    ) -> "RendezvousStoreInfo":
        """Agree on the bootstrap address through ``store``: rank 0 publishes, the others read.

        Rank 0 publishes ``local_addr`` (where that is empty, the address of its interface that leads to
        other networks) and ``server_port`` (a free port of this host where that is empty). The others
        block until it has done so, up to the timeout of the store.

        Raises:
            RendezvousTimeoutError: rank 0 published nothing in time.
            RendezvousError: this node cannot reach the address, as it cannot resolve it, or it is a
                loopback address of another machine.
        """
        if rank == 0:
            addr = local_addr or address_towards(None).address
            port = server_port or _free_port()
            if is_loopback(addr):
                store.set(LOOPBACK_KEY, loopback_id())
            store.multi_set(BOOTSTRAP_KEYS, [addr.encode(), str(port).encode()])
            return RendezvousStoreInfo(addr, port)
        published_addr, published_port = store.multi_get(BOOTSTRAP_KEYS)
        addr = published_addr.decode()
        _check_reachable(addr, store)
        return RendezvousStoreInfo(addr, int(published_port))


BOOTSTRAP_KEYS = (RendezvousStoreInfo.MASTER_ADDR_KEY, RendezvousStoreInfo.MASTER_PORT_KEY)
"""Where rank 0 publishes the address."""


LOOPBACK_KEY = "MASTER_LOOPBACK"
"""Where rank 0 tells whose loopback it means, if its address is of that kind."""

_ADVICE = (
    "start the node of rank 0 with --local-addr (in Python: local_addr=) and an address that others reach."
)

_LOOK = 0.1
"""Seconds between two looks at the membership by those whom nobody tells."""


def _check_reachable(addr: str, store: Store) -> None:
    if not resolves(addr):
        raise RendezvousError(f"This node cannot resolve '{addr}', the address of rank 0: {_ADVICE}")
    if is_loopback(addr) and peek(store, LOOPBACK_KEY) not in (None, loopback_id().encode()):
        raise RendezvousError(
            f"The address of rank 0, '{addr}', leads each machine to itself, "
            f"and rank 0 is on another: {_ADVICE}"
        )


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])


class RendezvousInfo:
    """What one node gets from a completed round."""

    def __init__(
        self,
        store: Store,
        rank: int,
        world_size: int,
        bootstrap_store_info: RendezvousStoreInfo | Callable[[], RendezvousStoreInfo],
    ) -> None:
        self._store = store
        self._rank = rank
        self._world_size = world_size
        self._bootstrap = bootstrap_store_info

    @property
    def store(self) -> Store:
        """The key-value store shared by this round alone."""
        return self._store

    @property
    def rank(self) -> int:
        """The rank of this node, ``0 <= rank < world_size``."""
        return self._rank

    @property
    def world_size(self) -> int:
        """The number of nodes in the round."""
        return self._world_size

    @property
    def bootstrap_store_info(self) -> RendezvousStoreInfo:
        """Where workers meet; read from the store when first asked for, which may block."""
        if callable(self._bootstrap):
            self._bootstrap = self._bootstrap()
        return self._bootstrap

    def __repr__(self) -> str:
        return f"RendezvousInfo(rank={self._rank}, world_size={self._world_size}, store={self._store!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A RendezvousInfo cannot be pickled, since its store holds connections: hand over rank, "
            "world_size and bootstrap_store_info."
        )


class RendezvousHandler(ABC):
    """Forms the rounds of one run, seen from one node. Same contract as torch's, and more.

    ``with handler:`` ends the node's part in the run at the end of the block: it leaves, as one that is done
    if the block ended well, and the handler is of no more use.
    """

    @abstractmethod
    def get_backend(self) -> str:
        """The name of the backend, as it was asked for in `RendezvousParameters`."""

    @property
    def use_agent_store(self) -> bool:
        """Whether workers may connect to the store at ``bootstrap_store_info`` as clients."""
        return False

    @abstractmethod
    def next_rendezvous(self) -> RendezvousInfo:
        """Block until this node is part of a completed round.

        A participant that asks again leaves the round it was in.

        Raises:
            RendezvousClosedError: the run is closed.
            RendezvousConnectionError: the backend could not be reached.
            RendezvousStateError: the state is corrupt, or the settings differ from the group's.
            RendezvousTimeoutError: the round did not complete on time; says who is missing.
            RendezvousGracefulExitError: the run ended while this node was a spare.
        """

    @abstractmethod
    def is_closed(self) -> bool:
        """Whether the run is known to be closed. News arrives eventually."""

    @abstractmethod
    def set_closed(self) -> None:
        """Close the run for all nodes, finally."""

    @abstractmethod
    def num_nodes_waiting(self) -> int:
        """How many nodes wait for the next round, or how many changes call for one.

        Above zero: call `next_rendezvous` again.
        """

    @abstractmethod
    def get_run_id(self) -> str:
        """The id of the run."""

    @abstractmethod
    def shutdown(self) -> bool:
        """Close the run and release all resources. ``False`` if closing could not be confirmed."""

    def wait_for_membership_change(self, timeout: float | None = None) -> bool:
        """Block until `num_nodes_waiting` is above zero, at most ``timeout`` seconds; ``None``: forever.

        ``False`` when the time ran out. A handler that is not told looks ten times a second, as torchrun's
        agent does.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while self.num_nodes_waiting() == 0:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, _LOOK))
        return True

    def leave(self, *, done: bool = False) -> bool:
        """Withdraw this node without closing the run; with ``done``, as one whose work is finished.

        ``False`` if the others could not be told: they will find the node silent. So does a handler that
        cannot withdraw.
        """
        return False

    def drain(self, deadline: float, nodes: Iterable[str] | None = None) -> bool:
        """Tell all participants that this node goes in ``deadline`` seconds; they see it in `notice`.

        The node leaves its round at the latest then, and the others go on without it. Until somebody asks
        for it, by another `next_rendezvous` after one that raised `RendezvousGracefulExitError`, it is
        chosen for no other round. With ``nodes``, ids of any nodes of the run, these are to go instead.

        ``False`` if the others could not be told; the node goes all the same. So does a handler that cannot
        tell them.
        """
        return False

    def notice(self) -> Notice | None:
        """Return which participants of this node's round are to go, and when; ``None`` where nobody is.

        It costs no round trip.
        """
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.leave(done=kind is None)
        finally:
            self._release()

    def _release(self) -> None:  # noqa: B027 - some have nothing to release
        """Let go of threads and connections; the run goes on."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of the run {self.get_run_id()!r} on {self.get_backend()!r}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"A {type(self).__name__} cannot be pickled, since it is one node of its run: create a handler "
            "in the process that needs one, from the same RendezvousParameters."
        )
