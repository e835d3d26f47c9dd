"""The hooks of a plugin. Implement those you need, marked with `hookimpl`; each docstring is the contract.

An entry point of the group ``rendezvous.backends`` names a module or an object that holds the hooks of
one backend, or of several: ``params.backend`` tells which is asked for. Options, handler, backend,
store and runs are asked of that plugin alone. What belongs to no backend goes into the group
``rendezvous.plugins``, and what makes stores of ours out of another package's into ``rendezvous.stores``,
by that package's name. What a framework wants in the environment of its processes goes into the group
``rendezvous.exports``, by the framework's name.

Rank policies, observers and environments of every loaded plugin are called, whatever backend is in use:
those of ``rendezvous.plugins`` first, each group in the order of its entry points' names.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pluggy

from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.ports.handler import RendezvousHandler
from rendezvous_core.ports.options import Option
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.runs import Runs
from rendezvous_core.ports.store import Store

PROJECT = "rendezvous"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as the implementation of the hook of its name."""


@dataclass(frozen=True, slots=True)
class RendezvousEvent:
    """Something that happened to a run, as one node saw it."""

    kind: str
    """What happened, as one word for programs."""
    run_id: str
    node: str
    """Id of the node that reports it."""
    round: int | None
    """The round it concerns, if any."""
    message: str
    """The same for people."""
    details: Mapping[str, object] = field(default_factory=dict)
    """What else is known, by name; plain values that JSON can hold."""
    at: float = field(default_factory=time.time)
    """When it was reported, in seconds since 1970 by the clock of that node."""


@dataclass(frozen=True, slots=True)
class RendezvousSeat:
    """The place of a node's command in a round."""

    run_id: str
    round: int
    rank: int
    world_size: int
    local_rank: int
    """The place among the nodes that one ``--spawn`` started; 0 without."""
    local_world_size: int
    """How many nodes that started; 1 without."""
    address: str
    """Where others reach this node."""
    master_addr: str
    """With ``master_port`` the address that rank 0 chose for this round."""
    master_port: int
    store: Store
    """The store of the round."""

    @property
    def group_rank(self) -> int:
        """Which of the groups of ``local_world_size`` nodes it is in."""
        return self.rank // self.local_world_size

    @property
    def group_world_size(self) -> int:
        """How many such groups there are."""
        return -(-self.world_size // self.local_world_size)


class RankCandidate(Protocol):
    """A node that is to get a rank."""

    @property
    def node(self) -> str:
        """Id of the node."""

    @property
    def address(self) -> str:
        """Where the node can be reached, as it says itself."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the node tells about itself, such as its rack."""


@hookspec(firstresult=True)
def rendezvous_options(params: RendezvousParameters) -> Sequence[Option] | None:
    """Declare the options of the backend ``params.backend``.

    Asked before any other hook, and to list the options, with parameters that name the backend alone.
    Whoever gives an option that is not declared, or a value that it cannot have, is refused. Those of
    the dynamic handler are known beside them where `rendezvous_backend` is implemented. Without this
    hook, or with ``None``, nobody can know which options are read: unknown ones pass.
    """


@hookspec(firstresult=True)
def rendezvous_handler(params: RendezvousParameters) -> RendezvousHandler | None:
    """Build the whole handler, for a backend that does not want the dynamic one.

    ``None`` leaves it to `rendezvous_backend`. Its ``get_backend()`` must return ``params.backend``.
    Raise ``ValueError`` for an option or endpoint that is wrong, `RendezvousConnectionError` for a
    server that cannot be reached.
    """


@hookspec(firstresult=True)
def rendezvous_backend(params: RendezvousParameters) -> RendezvousBackend | None:
    """Open the backend of the run ``params.run_id``; core builds the dynamic handler on it.

    Its ``name`` must be ``params.backend``. Core closes it. A plugin that answers neither this nor
    `rendezvous_handler` is an error. Raises as `rendezvous_handler` does.
    """


@hookspec(firstresult=True)
def rendezvous_store(params: RendezvousParameters, backend: RendezvousBackend) -> Store | None:
    """Open the shared store of the run.

    ``backend`` is what `rendezvous_backend` returned, so that both can share a client; close what
    only the store uses in ``backend.close()``. Rounds are kept apart by core, runs by the plugin.
    ``None``: core serves the store from a `StoreBackend` or from a bare register; any other
    `MembershipBackend` needs this hook.
    """


@hookspec(firstresult=True)
def rendezvous_runs(params: RendezvousParameters) -> Runs | None:
    """Open all runs at ``params.endpoint``, to list them and to remove one; ``params.run_id`` is empty.

    Optional: without it, or with ``None``, people have to know their run ids. Raises as
    `rendezvous_handler` does.
    """


@hookspec(firstresult=True)
def rendezvous_adapt_store(store: object) -> Store | None:
    """Return a store of another package as one of ours; ``None`` where it is none that is known.

    Asked where a program hands in such a store in place of a `Store`: of the entry point of the group
    ``rendezvous.stores`` that is named like the package, as ``torch``, of its class or of a base class.
    """


@hookspec(firstresult=True)
def rendezvous_assign_ranks(
    members: Sequence[RankCandidate], previous: Sequence[str]
) -> Sequence[str] | None:
    """Put the nodes of a round into rank order: return the ids of all ``members``, each once.

    ``previous`` holds the ids of the round before in its rank order, empty for the first. Only the
    coordinator calls it, so nodes need not agree on it; it must not block. ``None`` leaves it to
    the next plugin, at last to core, which keeps the survivors' order and fills the holes; so
    does, with an error in the log, an exception or a result that is no order of the members.
    """


@hookspec
def rendezvous_environment(seat: RendezvousSeat) -> Mapping[str, str] | None:
    """Return variables for the command of ``rdzv run`` in one round, beside those that it gets anyway.

    Called once a round on a thread of its own, which may meet the other nodes through ``seat.store``: its
    waits end with `RendezvousTimeoutError` from time to time, which is to be let through; if the round
    is still worth it the hook is called again. Any other exception ends the node.
    """


@hookspec
def rendezvous_event(event: RendezvousEvent) -> None:
    """Observe an event. Called on the thread that reports it: return soon.

    An exception is logged and has no other consequence.
    """
