"""A program of one who can read and write all that a backend keeps, and who has no secret.

It speaks with the server by a raw client, and tells what it could do to a run. The table in
docs/security.md says the same, for every backend.
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from rendezvous_core import (
    DynamicRendezvousHandler,
    RendezvousError,
    RendezvousParameters,
    RendezvousStateError,
    RendezvousTimeoutError,
    get_rendezvous_handler,
)
from rendezvous_core.records.changes import close
from rendezvous_core.records.codec import decode_state, encode_member, encode_state
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Settings, State

SECRET = "the secret of these tests"
RUN = "run-that-is-attacked"
WORLDS: Mapping[str, Mapping[str, str]] = {
    "no secret": {},
    "a secret": {"secret": SECRET},
    "a secret, and `seal_store`": {"secret": SECRET, "seal_store": "true"},
}
PAGE = Path(__file__).parents[2] / "docs" / "security.md"

_PATIENCE = 60.0
_RACK, _VALUE = "rack-of-the-victim", "value-of-the-victim"


class Raw(ABC):
    """All that a server keeps of the run, by a client that knows nothing of this library."""

    @abstractmethod
    def read(self) -> dict[str, bytes]:
        """Return everything, by name."""

    @abstractmethod
    def write(self, name: str, value: bytes) -> None:
        """Write what `read` names so."""

    @abstractmethod
    def state(self) -> bytes:
        """Return the state."""

    @abstractmethod
    def put_state(self, state: bytes) -> None:
        """Write a state, so that nodes take it for a new one."""

    @abstractmethod
    def put_member(self, node: str, record: bytes) -> None:
        """Write the record of a node."""


def intrude(connect: Callable[[], Raw], backend: str, endpoint: str, **options: Any) -> dict[str, str]:
    """Try everything on a run of one node; tell what succeeded."""
    own = {name: value for name, value in options.items() if name not in ("secret", "seal_store")}
    with _node(backend, endpoint, metadata=f"rack={_RACK}", **options) as victim:
        info = victim.next_rendezvous()
        info.store.set("key", _VALUE)
        raw = connect()
        older = raw.state()
        kept = raw.read()
        done = {
            "see that there is a run, and the ids of its nodes": victim.node_id in str(kept),
            "read who takes part, and where": any(_RACK.encode() in value for value in kept.values()),
            "read the values of the store": any(_VALUE.encode() in value for value in kept.values()),
        }
        (name,) = [name for name, value in kept.items() if re.search(r"[/\0]key\Z", name)]
        raw.write(name, b"forged")
        done["change a value of the store unnoticed"] = _reads(info.store.get, b"forged")
        done["get a seat in a round, or be counted"] = _counts(raw, victim) or _joins(backend, endpoint, own)
        done["take the run back to an older state"] = _goes_back(raw, victim, older)
        done["close the run"] = _closes(raw, victim)
        try:
            with _node(backend, endpoint, **options) as newcomer:
                newcomer.next_rendezvous()
            stopped = False
        except RendezvousError:
            stopped = True
        done["stop the run, by deleting or damaging what is kept"] = stopped
    return {attempt: "yes" if success else "no" for attempt, success in done.items()}


def documented() -> dict[str, dict[str, str]]:
    """What the page says, by world and attempt."""
    table = PAGE.read_text().partition("<!-- intruder -->")[2].partition("<!-- /intruder -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n") if line]
    worlds = rows[0][1:]
    return {world: {row[0]: row[1 + index] for row in rows[2:]} for index, world in enumerate(worlds)}


@contextmanager
def _node(backend: str, endpoint: str, **options: Any) -> Iterator[DynamicRendezvousHandler]:
    given = {"keep_alive_interval": "0.2", "keep_alive_max_attempt": "300", "close_timeout": "0.5", **options}
    params = RendezvousParameters(backend, endpoint, RUN, 1, 2, "127.0.0.1", last_call_timeout="0.1", **given)
    handler = get_rendezvous_handler(params)
    assert isinstance(handler, DynamicRendezvousHandler)
    try:
        yield handler
    finally:
        handler.shutdown()


def _reads(get: Callable[[str], bytes], value: bytes) -> bool:
    try:
        return get("key") == value
    except RendezvousStateError:
        return False


def _known(raw: Raw) -> State:
    """The state, as far as it can be read."""
    try:
        return decode_state(raw.state())
    except RendezvousStateError:
        return State(run=RUN, settings=Settings(1, 2))


def _counts(raw: Raw, victim: DynamicRendezvousHandler) -> bool:
    """Write the record of a node that asks, and beats, until the coordinator has looked several times."""
    states, beat, ghost = set[bytes](), 0, "f" * 32
    deadline = time.monotonic() + _PATIENCE
    while len(states) < 8 and not victim.num_nodes_waiting():
        assert time.monotonic() < deadline, "the coordinator does not coordinate"
        known = _known(raw)
        beat += 1
        record = Member(
            node=ghost,
            address="10.0.0.9",
            pid=1,
            beat=beat,
            ticket=1,
            term=known.term,
            dead_after=60.0,
            asked=known.serial,
        )
        raw.put_member(ghost, encode_member(record))
        states.add(raw.state())
        time.sleep(0.02)
    return victim.num_nodes_waiting() > 0


def _joins(backend: str, endpoint: str, options: Mapping[str, Any]) -> bool:
    try:
        with _node(backend, endpoint, join_timeout="30", **options) as stranger:
            stranger.next_rendezvous()
    except (RendezvousStateError, RendezvousTimeoutError):
        return False
    return True


def _goes_back(raw: Raw, victim: DynamicRendezvousHandler, older: bytes) -> bool:
    before = raw.state()
    raw.put_state(older)
    deadline = time.monotonic() + _PATIENCE
    while raw.state() in (older, before):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.02)
    try:
        return _known(raw).serial < decode_state(before).serial
    except RendezvousStateError:
        return victim.joined is None or victim.is_closed()


def _closes(raw: Raw, victim: DynamicRendezvousHandler) -> bool:
    """Write a closed state, and wait until the victim has read it."""
    known = _known(raw)
    raw.put_state(encode_state(replace(close(known), serial=known.serial + 1_000)))
    deadline = time.monotonic() + _PATIENCE
    while not victim.is_closed() and victim._driver.trouble is None:
        assert time.monotonic() < deadline, "nobody reads the state"
        time.sleep(0.02)
    return victim.is_closed()
