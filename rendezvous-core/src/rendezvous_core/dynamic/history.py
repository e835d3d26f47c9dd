"""The last events of a run, which its coordinators keep beside its rounds, for people who come later."""

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.ports.calls import begin
from rendezvous_core.ports.errors import RendezvousError, RendezvousSecretError
from rendezvous_core.ports.store import Store, peek
from rendezvous_core.records.member import Member, named
from rendezvous_core.records.state import Departure
from rendezvous_core.sealing.backend import SealedBackend
from rendezvous_core.sealing.store import sealed_store

_logger = logging.getLogger("rendezvous_core")

MOST_EVENTS = 200
MOST_BYTES = 32 * 1024
"""Of what is kept in the backend; with a bare register it travels with every operation."""

_MOST_NAMES = 8
"""So many nodes an event names; of the others it gives the number."""

_PAUSE = 1.0
"""Seconds until what could not be written is tried again."""

Kind = Literal[
    "began",
    "reopened",
    "formed",
    "called",
    "drains",
    "departed",
    "coordinates",
    "restored",
    "reconnected",
    "closed",
]


class Named(Struct, frozen=True, omit_defaults=True):
    """A node, as it was known when something happened to it."""

    node: str
    host: str = ""
    address: str = ""
    pid: int | None = None
    rank: int | None = None
    """Its rank in the round that the event is about."""

    def __str__(self) -> str:
        return named(self.node, self.host, self.address, self.pid, self.rank)


class Happening(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a run, as its coordinator saw it."""

    at: float
    """Wall-clock time at the coordinator."""
    kind: Kind
    round: int
    """The round that runs, or is being formed."""
    serial: int = 0
    """Of the state that tells of it: what one coordinator saw comes before what the next made of that."""
    nodes: tuple[Named, ...] = ()
    """Whom it is about: who joined, departed, or coordinates; of those that are kept only the first few."""
    number: int = 0
    """How many nodes it is about, also those that are not named."""
    world_size: int | None = None
    reason: Departure | Literal["again"] | None = None
    """Of a departure: ``left`` is gone, ``again`` asks for the next round."""
    took: float | None = None
    """Seconds: until a round had formed, a silence was found, the backend was back, or a drain ends."""
    former: str | None = None
    """The node that coordinated before."""


class _Book(Struct, frozen=True):
    v: int
    events: tuple[Happening, ...]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Book)
_VERSION = 1


def name(node: str, member: Member | None, rank: int | None = None) -> Named:
    """Name a node by its record."""
    if member is None:
        return Named(node, rank=rank)
    return Named(node, member.host, member.address, member.pid, rank)


def history_key(run_id: str) -> str:
    """Return the key of the shared store that holds the history of a run."""
    return f"rendezvous/{run_id}/history"


def history_store(store: Store, backend: RendezvousBackend, run_id: str) -> Store:
    """Return what to keep the history in: sealed where the run is, whatever else is in the store."""
    return sealed_store(store, backend.keyring, run_id) if isinstance(backend, SealedBackend) else store


def read_history(store: Store, run_id: str) -> tuple[Happening, ...]:
    """Return the last events of a run, the oldest first; none where nothing is kept, or it is damaged."""
    try:
        return _decode(peek(store, history_key(run_id)))
    except RendezvousSecretError as error:
        # Who damages it must not hide who is in.
        _logger.warning("The history of the run '%s' cannot be read: %s", run_id, error)
        return ()


class Recorder:
    """Appends to the history of a run, on a thread beside the node's: its store may be slow, or away.

    Whoever coordinates has one; where two do for a moment, what both write is kept. `add` and `flush` are
    the node's thread's.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self._key = store, history_key(run_id)
        self._pending: list[Happening] = []
        self._guard = Lock()
        self._known = b""
        self._busy = Lock()
        self._due = 0.0

    def add(self, events: Iterable[Happening]) -> None:
        """Have ``events`` written, and what could not be written before."""
        if capped := [replace(event, nodes=event.nodes[:_MOST_NAMES]) for event in events]:
            with self._guard:
                self._pending = [*self._pending, *capped][-MOST_EVENTS:]
        if self._pending and time.monotonic() >= self._due and self._busy.acquire(blocking=False):
            try:
                begin(self._write)
            except RendezvousError:
                self._busy.release()

    def flush(self, patience: float) -> None:
        """Wait until all is written, at most for a while."""
        deadline = time.monotonic() + patience
        while self._pending and time.monotonic() < deadline:
            self.add(())
            if self._busy.acquire(timeout=max(0.0, deadline - time.monotonic())):
                self._busy.release()
            if time.monotonic() < self._due:
                return

    def _write(self) -> None:
        try:
            while batch := self._pending:
                written = _encode(_merged(_decode(self._known), batch))
                standing = self._store.compare_set(self._key, self._known, written)
                if standing != written:
                    # Somebody else has written, or what was known is lost.
                    self._known = b"" if standing == self._known else standing
                    continue
                self._known = written
                with self._guard:
                    self._pending = [event for event in self._pending if event not in batch]
        except Exception as error:
            self._due = time.monotonic() + _PAUSE
            _logger.debug("The history of the run could not be written: %s", error)
        finally:
            self._busy.release()


def _merged(known: Iterable[Happening], batch: Iterable[Happening]) -> list[Happening]:
    """Append ``batch``; but one who coordinated before may write later than who coordinates now."""
    events = list(known)
    for event in batch:
        if event in events:
            continue  # it was written, and the reply was lost
        place = len(events)
        while place and _comes_first(event, events[place - 1]):
            place -= 1
        events.insert(place, event)
    return events


def _comes_first(event: Happening, other: Happening) -> bool:
    # A run whose state is lost counts anew; what is older than its beginning is of the former one.
    return event.serial < other.serial and (event.kind != "began" or event.at < other.at)


def _encode(events: Sequence[Happening]) -> bytes:
    kept = list(events[-MOST_EVENTS:])
    while len(data := _encoder.encode(_Book(_VERSION, tuple(kept)))) > MOST_BYTES:
        del kept[: max(1, len(kept) // 8)]
    return data


def _decode(data: bytes | None) -> tuple[Happening, ...]:
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if data:
            book = _decoder.decode(data)
            return book.events if book.v == _VERSION else ()
    return ()
