"""State and members as bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rendezvous_core import RendezvousStateError
from rendezvous_core.protocol import codec
from rendezvous_core.protocol.records import Member, Seat, Settings, State

SETTINGS = Settings(1, 4)
NAMES = st.text(max_size=8)

STATES = st.builds(
    State,
    run=NAMES,
    settings=st.just(SETTINGS),
    serial=st.integers(0, 2**60),
    round_id=st.just("r"),
    roster=st.lists(
        st.builds(Seat, NAMES, st.integers(1, 9), st.floats(0.1, 99)),
        unique_by=lambda seat: seat.node,
        min_size=1,
    ).map(tuple),
    spent=st.dictionaries(NAMES, st.integers(1, 9)),
    coordinator=st.none() | NAMES,
    last_call=st.none() | NAMES,
)
MEMBERS = st.builds(
    Member,
    node=NAMES,
    address=NAMES,
    pid=st.integers(0, 2**31),
    intent=st.sampled_from(["join", "cancel", "leave", "done"]),
    dead_after=st.floats(0.1, 1e6),
    metadata=st.dictionaries(NAMES, NAMES),
)


@given(STATES)
def test_a_state_comes_back_as_it_went(state: State) -> None:
    assert codec.decode_state(codec.encode_state(state)) == state


@given(MEMBERS)
def test_a_member_comes_back_as_it_went(member: Member) -> None:
    assert codec.decode_member(codec.encode_member(member)) == member


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_state_error(data: bytes) -> None:
    for decode in (codec.decode_state, codec.decode_member):
        with pytest.raises(RendezvousStateError):
            decode(data)


def changed(**fields: Any) -> bytes:
    """A valid state with other values in it."""
    envelope = json.loads(
        codec.encode_state(State(run="run", settings=SETTINGS, round_id="r", roster=(Seat("a", 1, 15.0),)))
    )
    envelope["state"] |= fields
    return json.dumps(envelope).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "corrupt: Input data was truncated"),
        (b"\x80\x04K\x01.", "corrupt"),
        (b"[]", "Expected `object`"),
        (b'{"v": 99}', "version 99, but this node speaks version 1"),
        (b'{"v": "x"}', "Expected `int`"),
        (b'{"v": 1}', "missing required field `state`"),
        (changed(phase="over"), "Invalid enum value 'over'"),
        (changed(round="one"), r"\$.state.round"),
        (changed(roster=[["a", 1, 15.0], ["a", 2, 15.0]]), "two ranks"),
        (changed(gone={"b": "lost"}), "gone that was never in"),
        (changed(settings={"min_nodes": 3, "max_nodes": 2}), r"settings \(.*\) are impossible"),
        (b" " * (codec.MAX_STATE + 1), "exceed the limit of 8388608"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, message: str) -> None:
    with pytest.raises(RendezvousStateError, match=message):
        codec.decode_state(data)


def test_a_state_of_a_later_release_with_more_fields_is_read() -> None:
    assert codec.decode_state(changed(colour="blue")).run == "run"


def test_what_is_too_large_is_not_written() -> None:
    member = Member(node="n", address="a", pid=1, dead_after=1.0, metadata={"key": "x" * codec.MAX_MEMBER})
    with pytest.raises(RendezvousStateError, match="exceed the limit"):
        codec.encode_member(member)
