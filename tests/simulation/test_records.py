"""What records say, and how a ledger is parted from a state and put together again."""

import pytest
from msgspec.structs import replace

from rendezvous_core import RendezvousSecretError, RendezvousStateError
from rendezvous_core.ports.sealed import SEALED
from rendezvous_core.records.codec import (
    check_member,
    decode_member,
    decode_page,
    decode_state,
    encode_member,
    encode_page,
)
from rendezvous_core.records.ledger import Book, Entry, abandoned, completed, file, pages, whole
from rendezvous_core.records.member import Member, counted, named, natural, place
from rendezvous_core.records.ranges import MAX_MEMBER
from rendezvous_core.records.state import Apart, Seat, Settings, State

ROSTER = (Seat("a", 2, 3.0), Seat("b", 1, 5.0), Seat("c", 1, 3.0))


def large(**fields: object) -> State:
    """A state whose ledger is on three pages of two."""
    fields = {"phase": "complete", "round_id": "round", "roster": ROSTER, "gone": {"b": "left"}} | fields
    spent = {"a": 1, "b": 1, "x": 4, "y": 2}
    state = State(run="run", settings=Settings(2, 3), serial=7, **({"spent": spent} | fields))  # type: ignore[arg-type]
    return file(state, state, lambda: "ledger", 2, anew=False)


def test_settings_that_differ_are_named_one_by_one() -> None:
    here, there = Settings(2, 3, 1, job="x"), Settings(1, 4, 1, job="y")
    assert here.difference(there) == "min_nodes is 2 here and 1 there, max_nodes is 3 here and 4 there"
    assert here.difference(Settings(2, 3, job="y")) == ""


@pytest.mark.parametrize(("nodes", "size"), [(1, 0), (3, 0), (4, 4), (5, 4), (6, 6), (7, 6), (9, 6)])
def test_a_world_size_is_a_multiple_within_bounds(nodes: int, size: int) -> None:
    settings = Settings(3, 7, 2)
    assert (settings.least, settings.most, settings.size(nodes)) == (4, 6, size)


def test_nodes_are_named_for_people() -> None:
    node = "0123456789abcdef"
    assert named(node, "host", "10.0.0.1", 7, 1) == "host (10.0.0.1) pid 7 rank 1 [01234567]"
    assert named(node, "host", "host", None) == "host [01234567]"
    assert named(node, "", "", 7, 0) == "node rank 0 [01234567]"
    assert named("", "", "10.0.0.1", 7) == "10.0.0.1 pid 7"
    assert place("", "10.0.0.1") == "10.0.0.1"
    assert (counted(1), counted(2)) == ("1 node", "2 nodes")


def test_names_are_in_order_by_their_numbers() -> None:
    names = ["", "1", "a", "a1aa", "a1b", "a2", "a2b3", "a2b10", "a10", "aa1", "b1"]
    assert sorted(set(names), key=natural) == names


def test_a_ledger_apart_is_put_together_again() -> None:
    state = large()
    assert state.apart == Apart("ledger", 3, 3, 2, 1)
    assert whole(state.head, pages(state)) == state
    assert completed(state.head, state) == state
    assert (state.head.roster, state.head.gone, state.head.spent) == ((), {}, {})
    assert (state.head.world_size, state.head.still_active, state.head.departed) == (3, 2, 1)


def test_pages_say_what_the_state_says_of_each_node() -> None:
    state = large()
    page = {node: entry for each in pages(state) for node, entry in each.items()}
    book = Book("ledger", "round", frozenset(page), page)
    assert page["y"] == Entry(2)
    for node in "abcxyz":
        for ticket in range(1, 6):
            assert book.rank(node, ticket) == state.rank(node, ticket)
            assert book.has_spent(node, ticket) == state.has_spent(node, ticket)


@pytest.mark.parametrize("missing", range(3))
def test_a_ledger_in_which_a_rank_is_missing_is_none(missing: int) -> None:
    state = large()
    left = [{node: each for node, each in page.items() if each.rank != missing} for page in pages(state)]
    assert whole(state.head, left) is None


def test_a_ledger_stays_where_it_is_until_it_changes() -> None:
    state = large()
    assert file(state, state, lambda: "new", 2, anew=False).apart == state.apart
    assert file(state.head, state, lambda: "new", 2, anew=True) == state.head
    for changed, anew in ((state, True), (large(spent={"a": 2, "x": 4}), False), (large(gone={}), False)):
        moved = file(changed, state, lambda: "new", 2, anew=anew).apart
        assert moved is not None
        assert moved.id == "new"


def test_a_ledger_that_is_short_is_in_the_state() -> None:
    state = large()
    assert file(state, state, lambda: "new", 5, anew=False).apart is None
    assert file(state, state, lambda: "new", 4, anew=False).apart == Apart("ledger", 2, 3, 2, 1)


def test_another_ledger_completes_nothing() -> None:
    state = large()
    other = file(state, state, lambda: "other", 2, anew=True)
    for known in (None, other, replace(state, apart=None)):
        assert completed(state.head, known) == state.head


def test_a_round_whose_ledger_is_lost_is_over() -> None:
    left = abandoned(large(round=3, waiting=1, last_call="call", knock="knock").head)
    assert (left.phase, left.round, left.round_id, left.apart) == ("joining", 4, "", None)
    assert (left.waiting, left.last_call, left.knock, left.serial) == (0, None, None, 7)
    assert abandoned(large(phase="joining", round=3).head).round == 3


def test_metadata_may_be_as_long_as_is_said() -> None:
    """What is left is for the counters of a record, which rise."""
    member = Member(node="a", address="", pid=1, dead_after=3.0, metadata={"x": ""})
    longest = MAX_MEMBER - 1024 - len(encode_member(member))
    check_member(replace(member, metadata={"x": "y" * longest}))
    with pytest.raises(
        ValueError, match=f"would take {MAX_MEMBER - 1023} bytes, of which at most {MAX_MEMBER - 1024}"
    ):
        check_member(replace(member, metadata={"x": "y" * (longest + 1)}))


def test_a_record_may_be_as_long_as_is_said() -> None:
    data = encode_member(Member(node="a", address="", pid=1, dead_after=3.0)).ljust(MAX_MEMBER)
    assert decode_member(data).node == "a"
    with pytest.raises(RendezvousStateError, match="its 65537 bytes exceed the limit of 65536"):
        decode_member(data + b" ")


@pytest.mark.parametrize(
    ("decode", "name"), [(decode_state, "state"), (decode_member, "member record"), (decode_page, "ledger")]
)
def test_what_cannot_be_read_is_named(decode: object, name: str) -> None:
    assert callable(decode)
    problems = {
        b"{": "is corrupt: .*truncated",
        b'{"v": 1}': "is of protocol version 1",
        b'{"v": 2}': "is corrupt: .*missing required field",
    }
    for data, problem in problems.items():
        with pytest.raises(RendezvousStateError, match=f"^The {name}( of the rendezvous)? {problem}"):
            decode(data)
    assert decode_page(encode_page({"a": Entry(1)})) == {"a": Entry(1)}


def test_what_cannot_be_read_says_what_to_do() -> None:
    with pytest.raises(RendezvousStateError) as refused:
        decode_page(b'{"v": 1}')
    assert str(refused.value) == (
        "The ledger is of protocol version 1, but this node speaks version 2: run the same release of "
        "rendezvous-core on all nodes, or use a new run id."
    )
    with pytest.raises(RendezvousStateError) as refused:
        decode_member(b" " * (MAX_MEMBER + 1))
    assert str(refused.value) == (
        "The member record of the rendezvous is corrupt: its 65537 bytes exceed the limit of 65536. "
        "Something else writes to its key, or the key was damaged; remove it or use a new run id."
    )
    with pytest.raises(RendezvousSecretError, match=r"^The ledger "):
        decode_page(SEALED + b"x")
