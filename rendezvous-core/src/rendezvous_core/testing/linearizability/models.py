"""What a register and a key of a store do when nobody disturbs: the next value, and the answer."""

from collections.abc import Callable

from rendezvous_core.testing.linearizability.history import Operation

Value = bytes | None
Model = Callable[[Value, Operation], tuple[Value, object]]
"""From the value before an operation to the value after it, and what the caller is told."""


def register_model(state: Value, operation: Operation) -> tuple[Value, object]:
    """`RendezvousBackend`, where no two writes are of the same bytes: those stand for their token, too.

    ``set_state`` has the new state and the one whose token it was given; the answer is the state that
    stands, and whether this call wrote it.
    """
    if operation.method == "get_state":
        return state, state
    new, expected = operation.arguments
    if state == expected:
        return new, (new, True)
    return state, None if state is None else (state, False)


def key_model(value: Value, operation: Operation) -> tuple[Value, object]:
    """One key of a `Store`."""
    given = operation.arguments
    match operation.method:
        case "get" | "peek_all":
            return value, value
        case "check":
            return value, value is not None
        case "set":
            return given[0], None
        case "add":
            total = int(value or 0) + given[0]
            return b"%d" % total, total
        case "append":
            return (value or b"") + given[0], None
        case "compare_set":
            expected, desired = given
            if (value or b"") == expected:
                return desired, desired
            return value, expected if value is None else value
        case "delete_key":
            return None, value is not None
    raise ValueError(f"There is no model of {operation.method}.")
