"""The checker of histories tells what can be true from what cannot."""

import random
from typing import Any

import pytest

from rendezvous_core.testing.linearizability import (
    UNKNOWN,
    Operation,
    UndecidedError,
    describe,
    find_queue_violation,
    find_violation,
    is_linearizable,
    key_model,
    register_model,
)

Line = tuple[str, float, float, str, tuple[Any, ...], Any]
NEVER = float("inf")


def history(*lines: Line) -> list[Operation]:
    return [
        Operation(client, "key", method, arguments, int(called), returned, result)
        for client, called, returned, method, arguments, result in lines
    ]


SET_A, SET_B = ("set", (b"a",), None), ("set", (b"b",), None)
TRUE: dict[str, list[Line]] = {
    "one after the other": [("1", 0, 1, *SET_A), ("2", 2, 3, "get", (), b"a")],
    "read while it is written": [
        ("1", 0, 9, *SET_A),
        ("2", 1, 2, "peek_all", (), None),
        ("3", 3, 4, "get", (), b"a"),
    ],
    "later call, earlier effect": [
        ("1", 0, 9, *SET_A),
        ("2", 1, 8, *SET_B),
        ("3", 10, 11, "get", (), b"a"),
    ],
    "unknown that was done": [("1", 0, NEVER, "add", (5,), UNKNOWN), ("2", 2, 3, "add", (1,), 6)],
    "unknown that was not done": [("1", 0, NEVER, "add", (5,), UNKNOWN), ("2", 2, 3, "add", (1,), 1)],
    "unknown that is done later": [
        ("1", 0, NEVER, *SET_A[:2], UNKNOWN),
        ("2", 1, 2, *SET_B),
        ("2", 3, 4, "get", (), b"b"),
        ("2", 5, 6, "get", (), b"a"),
    ],
    "refused": [("1", 0, 1, *SET_A), ("2", 2, 3, "compare_set", (b"b", b"c"), b"a")],
    "deleted": [("1", 0, 1, *SET_A), ("2", 2, 3, "delete_key", (), True), ("2", 4, 5, "check", (), False)],
}
FALSE: dict[str, list[Line]] = {
    "stale read": [("1", 0, 1, *SET_A), ("1", 2, 3, *SET_B), ("2", 4, 5, "get", (), b"a")],
    "back and forth": [
        ("1", 0, 9, *SET_A),
        ("2", 1, 2, "get", (), b"a"),
        ("3", 3, 4, "peek_all", (), None),
    ],
    "lost update": [("1", 0, 9, "add", (1,), 1), ("2", 0, 9, "add", (1,), 1)],
    "done twice": [("1", 0, NEVER, "add", (5,), UNKNOWN), ("2", 2, 3, "add", (1,), 11)],
    "before it was called": [("1", 0, 1, "get", (), b"a"), ("2", 2, NEVER, *SET_A[:2], UNKNOWN)],
    "both won": [
        ("1", 0, 9, "compare_set", (b"", b"a"), b"a"),
        ("2", 0, 9, "compare_set", (b"", b"b"), b"b"),
    ],
}


@pytest.mark.parametrize("lines", TRUE.values(), ids=TRUE)
def test_what_can_be_true(lines: list[Line]) -> None:
    assert is_linearizable(history(*lines), key_model)
    assert find_violation(history(*lines), key_model) == []


@pytest.mark.parametrize("lines", FALSE.values(), ids=FALSE)
def test_what_cannot_be_true(lines: list[Line]) -> None:
    assert not is_linearizable(history(*lines), key_model)
    assert find_violation(history(*lines), key_model)


def test_register() -> None:
    written = [
        ("1", 0, 1, "set_state", (b"a", None), (b"a", True)),
        ("2", 2, 3, "set_state", (b"b", b"a"), (b"b", True)),
    ]
    assert is_linearizable(
        history(*written, ("1", 4, 5, "set_state", (b"c", b"a"), (b"b", False))), register_model
    )
    assert not is_linearizable(
        history(*written, ("1", 4, 5, "set_state", (b"c", b"a"), (b"c", True))), register_model
    )
    assert not is_linearizable(history(*written, ("1", 4, 5, "get_state", (), b"a")), register_model)


def sequential(length: int) -> list[Operation]:
    """What one correct key tells clients whose calls overlap."""
    choose = random.Random(7)
    value: bytes | None = None
    operations = []
    for number in range(length):
        method, given = choose.choice([("set", (b"%d" % number,)), ("peek_all", ()), ("check", ())])
        moment = 10 * number
        called, returned = moment - choose.randrange(25), moment + choose.randrange(25)
        operation = Operation(f"{number}", "key", method, given, called, returned)
        value, result = key_model(value, operation)
        operations.append(Operation(f"{number}", "key", method, given, called, returned, result))
    return operations


def test_a_short_part_is_shown() -> None:
    operations = sequential(30)
    assert is_linearizable(operations, key_model)
    wrong = Operation("liar", "key", "delete_key", (), 251, 252, False)
    violation = find_violation([*operations, wrong], key_model)
    assert wrong in violation
    assert len(violation) <= 8
    assert "liar: delete_key('key') -> False" in describe(violation)


def test_what_is_too_much_is_not_taken_for_good() -> None:
    unknown = [Operation(f"{each}", "key", "add", (2**each,), 0) for each in range(40)]
    impossible = Operation("last", "key", "get", (), 50, 51, b"none")
    with pytest.raises(UndecidedError, match="41 operations"):
        is_linearizable([*unknown, impossible], key_model, places=1000)


PUSHES: list[Line] = [
    ("1", 0, 1, "queue_push", (b"a",), None),
    ("1", 2, 3, "queue_push", (b"b",), None),
]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([("2", 4, 5, "queue_pop", (), b"a"), ("3", 6, 7, "queue_pop", (), b"b")], None),
        ([("2", 4, 9, "queue_pop", (), b"b"), ("3", 5, 7, "queue_pop", (), b"a")], None),
        ([("2", 4, NEVER, "queue_pop", (), UNKNOWN), ("3", 5, 7, "queue_pop", (), b"b")], None),
        (
            [("3", 5, 7, "queue_pop", (), b"a"), ("3", 8, 9, "queue_pop", (), None)],
            "1 items were never delivered",
        ),
        (
            [("2", 4, 5, "queue_pop", (), b"a"), ("3", 6, 7, "queue_pop", (), b"a")],
            "b'a' was delivered 2 times",
        ),
        ([("2", 4, 5, "queue_pop", (), b"c")], "b'c' was delivered though nobody had pushed it"),
        (
            [("2", 4, 5, "queue_pop", (), b"b"), ("3", 6, 7, "queue_pop", (), b"a")],
            "b'a' was overtaken by b'b'",
        ),
        (
            [
                ("2", 4, 5, "queue_pop", (), None),
                ("3", 6, 7, "queue_pop", (), b"a"),
                ("3", 8, 9, "queue_pop", (), b"b"),
            ],
            "b'a' was in the queue, which was told to be empty",
        ),
    ],
)
def test_queues(lines: list[Line], message: str | None) -> None:
    found = find_queue_violation(history(*PUSHES, *lines))
    assert (found and found[0]) == message
