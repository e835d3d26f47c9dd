"""Puts together what stands behind a handler."""

import os
import socket
import sys
import uuid
from collections.abc import Mapping, Sequence

from rendezvous_core.dynamic.driver import Driver
from rendezvous_core.dynamic.history import Recorder, history_store
from rendezvous_core.dynamic.launchers import find_job
from rendezvous_core.dynamic.ledgers import Ledgers
from rendezvous_core.dynamic.performing import Performer
from rendezvous_core.dynamic.reporting import Reporter
from rendezvous_core.over_register.backend import RegisterBackend, with_members
from rendezvous_core.plugins.loading import assign_ranks
from rendezvous_core.plugins.ranks import rank
from rendezvous_core.ports.backend import MembershipBackend, RendezvousBackend
from rendezvous_core.ports.limits import MAX_NODES, check_metadata
from rendezvous_core.ports.settings import NO_ID, RANK_HINT, RendezvousSettings
from rendezvous_core.ports.store import Store
from rendezvous_core.protocol.node import Node
from rendezvous_core.records.ledger import PAGE
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Settings
from rendezvous_core.records.terms import Terms, Timing
from rendezvous_core.sealing.backend import seal_backend, unsealed
from rendezvous_core.sealing.keys import Keyring


def make_driver(
    settings: RendezvousSettings,
    store: Store,
    backend: MembershipBackend,
    address: str,
    metadata: Mapping[str, str] | None,
    rank_hint: int | None,
    *,
    reopen: bool,
) -> Driver:
    """Return the driver of a new node of this process."""
    timing = Timing(
        settings.keep_alive_interval.total_seconds(),
        settings.keep_alive_max_attempt,
        settings.timeout.last_call.total_seconds(),
    )
    member = Member(
        node=_new_id(),
        address=address,
        host=socket.gethostname(),
        pid=os.getpid(),
        dead_after=timing.dead_after,
        rank_hint=None if rank_hint is None else RANK_HINT.check(rank_hint),
        metadata=check_metadata({} if metadata is None else metadata),
    )
    has_id = settings.run_id != NO_ID
    terms = Terms(
        settings.run_id,
        agreed(settings, "" if has_id else find_job(sys.argv)),
        timing,
        _rank,
        # What a bare register keeps apart is in the same register.
        page=MAX_NODES if isinstance(unsealed(backend), RegisterBackend) else PAGE,
        reopens=reopen or not has_id,
        has_id=has_id,
    )
    node = Node(member, terms, _new_id)
    kept = history_store(store, backend, settings.run_id)
    performer = Performer(backend, Ledgers(kept, settings.run_id), settings.timeout.heartbeat.total_seconds())
    recorder = Recorder(kept, settings.run_id)
    return Driver(node, performer, Reporter(settings.run_id, recorder))


def agreed(settings: RendezvousSettings, job: str = "") -> Settings:
    """Return what all nodes of a run have to agree on."""
    return Settings(
        settings.min_nodes,
        settings.max_nodes,
        settings.nodes_multiple_of,
        settings.last_call,
        settings.admit_newcomers,
        job,
    )


def sealed(backend: RendezvousBackend, keyring: Keyring | None, run_id: str) -> RendezvousBackend:
    """Return ``backend``, sealed where there is a secret."""
    return backend if keyring is None else seal_backend(with_members(backend), keyring, run_id)


def _new_id() -> str:
    """A name that nothing else in the run has: it is in every record, and often in the ledger."""
    return uuid.uuid4().hex[:16]


def _rank(members: Sequence[Member], previous: Sequence[str]) -> Sequence[str]:
    return assign_ranks(members, previous) or rank(members, previous)
