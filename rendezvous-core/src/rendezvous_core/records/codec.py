"""State and members as bytes: versioned JSON, checked against the schema when read. Never code."""

import functools
from typing import TypeVar

import msgspec
from msgspec import Struct

from rendezvous_core.ports.errors import RendezvousStateError
from rendezvous_core.ports.sealed import check_unsealed
from rendezvous_core.records.invariants import check_state
from rendezvous_core.records.ledger import Page
from rendezvous_core.records.member import Member
from rendezvous_core.records.ranges import MAX_MEMBER, MAX_STATE, check_ranges
from rendezvous_core.records.state import State

Envelope = TypeVar("Envelope")

VERSION = 2

_GROWTH = 1024
"""How many bytes a record may grow by while its node lives, as its counters rise."""


class _Versioned(Struct):
    v: int


class _StateEnvelope(Struct, frozen=True):
    v: int
    state: State


class _MemberEnvelope(Struct, frozen=True):
    v: int
    member: Member


class _PageEnvelope(Struct, frozen=True):
    v: int
    page: Page


_DAMAGED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_encoder = msgspec.json.Encoder()
_version_decoder = msgspec.json.Decoder(_Versioned)
_state_decoder = msgspec.json.Decoder(_StateEnvelope)
_member_decoder = msgspec.json.Decoder(_MemberEnvelope)
_page_decoder = msgspec.json.Decoder(_PageEnvelope)


def encode_state(state: State) -> bytes:
    """Return ``state`` as bytes. Raises `RendezvousStateError` if nobody could read them."""
    data = _encoder.encode(_StateEnvelope(VERSION, state))
    decode_state(data)  # which costs nothing: the one who writes it reads the same bytes in the answer
    return data


def encode_member(member: Member) -> bytes:
    """Return ``member`` as bytes. Raises `RendezvousStateError` if nobody could read them."""
    data = _encoder.encode(_MemberEnvelope(VERSION, member))
    decode_member(data)
    return data


def check_member(member: Member) -> None:
    """Check what a user says of a node. Raises `ValueError`: names what is at fault, and the limit."""
    check_ranges(member, "the node")
    size = len(_encoder.encode(_MemberEnvelope(VERSION, member)))
    if size > MAX_MEMBER - _GROWTH:
        raise ValueError(
            f"The metadata of a node is too long: its record would take {size} bytes, of which at most "
            f"{MAX_MEMBER - _GROWTH} are stored."
        )


@functools.lru_cache(maxsize=16)
def decode_state(data: bytes) -> State:
    """Read a state. The same bytes, which a node reads over and over, are decoded once.

    Raises:
        RendezvousStateError: too large, no JSON, of another version, out of range, or
            one that breaks an invariant; the message says which.
    """
    state = _decode(_state_decoder, data, MAX_STATE, "state").state
    check_state(state)
    return state


def decode_member(data: bytes) -> Member:
    """Read the record of a member; raises as `decode_state` does."""
    return _decode(_member_decoder, data, MAX_MEMBER, "member record").member


def encode_page(page: Page) -> bytes:
    """Return a page of a ledger as bytes."""
    return _encoder.encode(_PageEnvelope(VERSION, page))


def decode_page(data: bytes) -> Page:
    """Read a page of a ledger; raises as `decode_state` does."""
    return _decode(_page_decoder, data, MAX_STATE, "ledger").page


def _decode(decoder: msgspec.json.Decoder[Envelope], data: bytes, limit: int, what: str) -> Envelope:
    check_unsealed(data, what)
    if len(data) > limit:
        raise _corrupt(what, f"its {len(data)} bytes exceed the limit of {limit}")
    try:
        version = _version_decoder.decode(data).v
        if version == VERSION:
            return decoder.decode(data)
    except _DAMAGED as error:
        raise _corrupt(what, str(error)) from error
    raise RendezvousStateError(
        f"The {what} is of protocol version {version}, but this node speaks version {VERSION}: "
        "run the same release of rendezvous-core on all nodes, or use a new run id."
    )


def _corrupt(what: str, problem: str) -> RendezvousStateError:
    return RendezvousStateError(
        f"The {what} of the rendezvous is corrupt: {problem}. Something else writes to its key, or the "
        "key was damaged; remove it or use a new run id."
    )
