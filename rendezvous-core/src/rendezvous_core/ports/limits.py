"""What may be given: bounds of what is waited for and written, and checks whose errors name both.

What a run keeps is read by all of its nodes, so one impossible value harms them all: everything that a
user gives is checked here, before anything is opened or written.
"""

import operator
from collections.abc import Mapping
from datetime import timedelta
from numbers import Real
from typing import Any, SupportsIndex

from rendezvous_core.ports.redaction import shown

MAX_NODES = 1_000_000
MAX_RUN_ID = 512
"""Characters of a run id."""
MAX_ADDRESS = 255
"""Characters of a node's address; host names have at most 253."""
MAX_ENDPOINT = 65_536
"""Characters of an endpoint, which may list many servers."""
MAX_METADATA = 8_192
"""Bytes of a node's metadata, names and values together: all of it is read whenever nodes are listed."""

MAX_INTEGER = 2**63 - 1
"""The greatest number that all stores and servers can count to."""

MIN_SECONDS = 0.001
MAX_SECONDS = 1e9
"""The longest wait, 31 years: what means for ever, and what every clock and every lock can count to."""
DAY = 86_400.0
"""The longest time between two signs of life, and the longest wait of one operation."""

_TRUE = {"1", "true", "t", "yes", "y"}
_FALSE = {"0", "false", "f", "no", "n"}


def check_integer(what: str, value: object, least: int, most: int) -> int:
    """Return ``value`` as an ``int``: any integer, of numpy too, but no ``bool`` and no ``float``.

    Raises:
        ValueError: it is something else, or not from ``least`` to ``most``; names ``what``.
    """
    expected = f"an integer {span(least, most)}"
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise refusal(what, value, expected)
    number = operator.index(value)
    if not least <= number <= most:
        raise refusal(what, value, expected)
    return number


def check_seconds(what: str, value: object, least: float = MIN_SECONDS, most: float = MAX_SECONDS) -> float:
    """Return ``value``, any real number, as a ``float``.

    Raises:
        ValueError: it is something else, or not from ``least`` to ``most``; names ``what``.
    """
    given: Any = value
    # What is not a number compares as neither; an integer may be too great to become a float.
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= given <= most:
        raise refusal(what, value, f"a number of seconds {span(least, most)}")
    return float(given)


def check_duration(
    what: str, value: object, least: float = MIN_SECONDS, most: float = MAX_SECONDS
) -> timedelta:
    """Return ``value``, which must be a ``timedelta``.

    Raises:
        ValueError: it is something else, or not from ``least`` to ``most`` seconds; names ``what``.
    """
    if not isinstance(value, timedelta):
        raise refusal(what, value, "a timedelta, as timedelta(seconds=5)")
    if not least <= value.total_seconds() <= most:
        raise ValueError(
            f"{what} ({value.total_seconds():g} seconds) must be positive: {span(least, most)} seconds."
        )
    return value


def check_text(what: str, value: object, most: int, least: int = 0) -> str:
    """Return ``value``, which must be text that UTF-8 can write, of ``least`` to ``most`` characters.

    Raises:
        ValueError: it is something else; names ``what``.
    """
    if not isinstance(value, str):
        raise refusal(what, value, "text (str)")
    if len(value) < least:
        raise ValueError(f"{what} must be a non-empty string.")
    if len(value) > most:
        raise ValueError(f"{what} ({shown(value)}) has {len(value)} characters; it may have {most}.")
    if not is_unicode(value):
        raise ValueError(
            f"{what} ({shown(value)}) holds half a character (a surrogate), which cannot be written as UTF-8."
        )
    return value


def check_run_id(value: object, least: int = 1) -> str:
    """Return ``value`` if it may name a run; raises as `check_text` does."""
    return check_text("The run id", value, MAX_RUN_ID, least)


def check_nodes(min_nodes: object, max_nodes: object) -> tuple[int, int]:
    """Return how many nodes a round may have.

    Raises:
        ValueError: they are no integers from 1 to `MAX_NODES`, or ``max_nodes`` is below ``min_nodes``.
    """
    least = _check_count("The minimum number of rendezvous nodes", "min_nodes", min_nodes)
    most = _check_count("The maximum number of rendezvous nodes", "max_nodes", max_nodes)
    if most < least:
        raise ValueError(
            f"The maximum number of rendezvous nodes ({most}) must be greater than or equal to "
            f"the minimum number of rendezvous nodes ({least})."
        )
    return least, most


def check_address(value: object) -> str | None:
    """Return the address under which the others reach a node; ``None`` where there is none.

    Raises:
        ValueError: it is no text, too long, or holds spaces, as no name and no address does.
    """
    if value is None or value == "":
        return None
    address = check_text("The address of this node (local_addr)", value, MAX_ADDRESS)
    if any(char.isspace() or not char.isprintable() for char in address):
        raise ValueError(
            f"The address of this node (local_addr, {shown(address)}) must be a host name or an IP address, "
            "without spaces."
        )
    return address


def check_metadata(value: object) -> dict[str, str]:
    """Return what a node tells about itself.

    Raises:
        ValueError: it does not map text to text, or has more than `MAX_METADATA` bytes.
    """
    if not isinstance(value, Mapping):
        raise refusal("The metadata", value, "a mapping of text to text, as {'rack': 'r1'}")
    size = 0
    for name, text in value.items():
        if not (isinstance(name, str) and isinstance(text, str)):
            raise ValueError(f"The metadata must map text to text, not {shown(name)} to {shown(text)}.")
        for part in (name, text):
            check_text("A part of the metadata", part, MAX_METADATA)
            size += len(part.encode())
    if size > MAX_METADATA:
        raise ValueError(
            f"The metadata has {size} bytes, names and values together; it may have {MAX_METADATA}."
        )
    return dict(value)


def parse_boolean(value: object) -> bool | None:
    """Read a boolean: true/false, t/f, yes/no, y/n, 1/0 in any case; ``None`` where it is something else."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, int | str) else ""
    return True if text in _TRUE else False if text in _FALSE else None


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can write ``text``: it holds no surrogates, which are halves of characters."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def span(least: float, most: float) -> str:
    """Say which numbers are meant; `MAX_INTEGER` is no bound that anybody has to know."""
    return f"from {number(least)}" + (f" to {number(most)}" if most < MAX_INTEGER else "")


def number(value: float) -> str:
    """Write a bound as people do, without an exponent."""
    return str(int(value)) if value == int(value) else f"{value:g}"


def refusal(what: str, value: object, expected: str) -> ValueError:
    """Build the error that says what is expected of ``what``."""
    return ValueError(f"{what} ({shown(value)}) must be {expected}.")


def _check_count(what: str, name: str, value: object) -> int:
    expected = f"an integer {span(1, MAX_NODES)}"
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise refusal(f"{what}, {name}", value, expected)
    if (count := operator.index(value)) < 1:
        raise refusal(what, value, f"greater than zero: {name} is {expected}")
    return check_integer(f"{what}, {name}", count, 1, MAX_NODES)
