"""What clients did, and what they were told."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final


class Unknown(Enum):
    """The outcome of an operation whose reply, or whose client, was lost."""

    UNKNOWN = "?"


UNKNOWN: Final = Unknown.UNKNOWN

LOOKS = frozenset({"get_state", "get", "check", "peek_all"})
"""Operations that change nothing."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of one client. Times are of one monotonic clock, in nanoseconds."""

    client: str
    key: str
    method: str
    arguments: tuple[Any, ...]
    called: int
    returned: float = float("inf")
    """When the result was there; infinite where that is `UNKNOWN`."""
    result: Any = UNKNOWN

    @property
    def is_known(self) -> bool:
        return self.result is not UNKNOWN

    def forgotten(self) -> "Operation":
        """The same operation as if nobody knew what became of it."""
        return replace(self, returned=float("inf"), result=UNKNOWN)


def describe(operations: Iterable[Operation]) -> str:
    """One line for each operation, in the order of the calls; times are milliseconds since the first."""
    lines = []
    start: int | None = None
    for each in sorted(operations, key=lambda each: each.called):
        start = each.called if start is None else start
        until = f"{(each.returned - start) / 1e6:9.3f}" if each.is_known else "        ?"
        result = repr(each.result) if each.is_known else "outcome unknown"
        given = ", ".join(map(repr, [each.key, *each.arguments] if each.key else each.arguments))
        lines.append(
            f"{(each.called - start) / 1e6:9.3f} .. {until}"
            f"  {each.client}: {each.method}({given}) -> {result}"
        )
    return "\n".join(lines)
