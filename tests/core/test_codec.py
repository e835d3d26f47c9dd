"""State and members as bytes."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rendezvous_core import RendezvousStateError
from rendezvous_core.plugins.ranks import keep_ranks
from rendezvous_core.protocol.node import Node
from rendezvous_core.records import codec
from rendezvous_core.records.member import Member
from rendezvous_core.records.ranges import MAX_MEMBER, MAX_STATE
from rendezvous_core.records.state import Seat, Settings, State
from rendezvous_core.records.terms import Terms, Timing

SETTINGS = Settings(1, 4)
NAMES = st.text(min_size=1, max_size=8)

STATES = st.builds(
    State,
    run=NAMES,
    settings=st.just(SETTINGS),
    serial=st.integers(0, 2**53),
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
    dead_after=st.floats(0.1, 86_400),
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


DEEP = b'{"v":2,"state":' + b'{"a":' * 9000


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
        (b'{"v": 99}', "version 99, but this node speaks version 2"),
        (b'{"v": "x"}', "Expected `int`"),
        (b'{"v": 1}', "version 1, but this node speaks version 2"),
        (b'{"v": 2}', "missing required field `state`"),
        (changed(phase="over"), "Invalid enum value 'over'"),
        (changed(round="one"), r"\$.state.round"),
        (changed(roster=[["a", 1, 15.0], ["a", 2, 15.0]]), "two ranks"),
        (changed(gone={"b": "lost"}), "gone that was never in"),
        (changed(settings={"min_nodes": 3, "max_nodes": 2}), r"settings \(.*\) are impossible"),
        (b" " * (MAX_STATE + 1), "exceed the limit of 8388608"),
        (DEEP, "recursion|truncated"),  # which limit is met first depends on the Python
    ],
)
def test_what_is_wrong_is_said(data: bytes, message: str) -> None:
    with pytest.raises(RendezvousStateError, match=message):
        codec.decode_state(data)


def test_a_state_of_a_later_release_with_more_fields_is_read() -> None:
    assert codec.decode_state(changed(colour="blue")).run == "run"


MEMBER = Member(node="n", address="a", pid=1, dead_after=1.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"beat": 2**62},
        {"beat": -1},
        {"beat": 1.5},
        {"ticket": 10**400},
        {"seen": 1e300},
        {"dead_after": 1e300},
        {"dead_after": -1.0},
        {"dead_after": 0},
        {"dead_after": None},
        {"at": 1e300},
        {"pid": True},
        {"node": ""},
        {"node": "n" * 65},
        {"address": "a" * 1025},
        {"term": "t" * 65},
        {"intent": "rule"},
        {"metadata": {"a": 1}},
        {"metadata": [[]] * 9},
    ],
    ids=str,
)
def test_an_absurd_record_is_not_read(fields: dict[str, Any]) -> None:
    envelope = json.loads(codec.encode_member(MEMBER))
    envelope["member"] |= fields
    with pytest.raises(RendezvousStateError, match="record of the rendezvous is corrupt"):
        codec.decode_member(json.dumps(envelope).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(field=st.sampled_from(Member.__struct_fields__), value=JSON)
def test_a_record_with_anything_in_it_is_read_or_refused(field: str, value: object) -> None:
    envelope = json.loads(codec.encode_member(MEMBER))
    envelope["member"][field] = value
    with contextlib.suppress(RendezvousStateError):
        codec.encode_member(codec.decode_member(json.dumps(envelope).encode()))


@pytest.mark.parametrize("decode", [codec.decode_state, codec.decode_member])
@pytest.mark.parametrize("opening", [b'{"a":', b"["])
def test_nesting_without_end_is_corrupt(decode: Callable[[bytes], object], opening: bytes) -> None:
    for data in (opening * 9000, b'{"v":2,"member":' + opening * 9000, b'{"v":2,"x":' + opening * 9000):
        with pytest.raises(RendezvousStateError, match="corrupt"):
            decode(data)


def test_what_nobody_could_read_is_not_written() -> None:
    with pytest.raises(RendezvousStateError, match="Expected `int`, got `float`"):
        codec.encode_state(State(run="run", settings=Settings(1, 4.0)))  # type: ignore[arg-type]
    with pytest.raises(RendezvousStateError, match="exceed the limit of 65536"):
        codec.encode_member(replace(MEMBER, metadata={"key": "x" * MAX_MEMBER}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metadata": {"key": "x" * MAX_MEMBER}}, "metadata of a node is too long.* at most 64512"),
        ({"metadata": {"key": 1}}, "The metadata of the node is out of range: Expected `str`, got `int`"),
        ({"metadata": {"key": "\ud800"}}, "no valid Unicode"),
        ({"address": "a" * 1025}, "The address of the node is out of range: .* length <= 1024"),
        ({"dead_after": float("nan")}, "The dead_after of the node"),
        ({"dead_after": 1e9}, "<= 86400"),
    ],
)
def test_what_a_user_says_of_a_node_is_checked(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Node(replace(MEMBER, **fields), Terms("run", SETTINGS, Timing(), keep_ranks), lambda: "id")


@pytest.mark.parametrize(
    ("run", "limits", "message"),
    [
        ("", (1, 2), "The id of the run is out of range"),
        ("r" * 1025, (1, 2), "length <= 1024"),
        ("\udfff", (1, 2), "no valid Unicode"),
        ("run", (1, 4.0), "max_nodes of the run is out of range: Expected `int`, got `float`"),
        ("run", (True, 4), "min_nodes of the run is out of range: Expected `int`, got `bool`"),
        ("run", (1, 2**62), "max_nodes of the run is out of range: Expected `int` <= 1000000"),
    ],
)
def test_what_a_user_says_of_a_run_is_checked(run: str, limits: tuple[Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Terms(run, Settings(*limits), Timing(), keep_ranks)


@pytest.mark.parametrize(("interval", "attempts"), [(0.0, 3), (float("nan"), 1), (1e9, 1), (1.0, 10**6)])
def test_a_patience_without_end_is_refused(interval: float, attempts: int) -> None:
    with pytest.raises(ValueError, match=r"keep-alive intervals of .* at most 86400 s"):
        Timing(interval, attempts)
