"""The ranges of what a run stores: checked before it is written and after it is read."""

import re
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=2**53)]
"""What only rises; also JSON readers that know nothing but floats keep it exact."""

Round = Annotated[int, Meta(ge=-1, le=2**53)]
"""A number of a round, or -1 for none."""

Nodes = Annotated[int, Meta(ge=1, le=1_000_000)]
"""How many nodes."""

Ticket = Annotated[int, Meta(ge=1, le=2**53)]

MAX_PATIENCE = 86_400
"""Nobody is waited for longer than a day."""

Patience = Annotated[float, Meta(gt=0, le=MAX_PATIENCE)]
"""For how many seconds somebody may be silent."""

Lease = Annotated[float, Meta(ge=0, le=MAX_PATIENCE)]
"""As `Patience`; zero where nobody coordinates yet."""

Wait = Annotated[float, Meta(gt=0, le=MAX_PATIENCE)]
"""For how many seconds newcomers gather."""

Hint = Annotated[int, Meta(ge=0, le=1_000_000)]
"""Where a node would like to stand."""

Moment = Annotated[float, Meta(ge=0, le=1e11)]
"""Wall-clock seconds since 1970, up to the year 5138."""

RunId = Annotated[str, Meta(min_length=1, max_length=1024)]

NodeId = Annotated[str, Meta(min_length=1, max_length=64)]

Id = Annotated[str, Meta(max_length=64)]
"""A random name of a round, a term, or a last call."""

Address = Annotated[str, Meta(max_length=1024)]

MAX_STATE = 8 * 1024 * 1024
"""Bytes of a stored state."""

MAX_MEMBER = 64 * 1024
"""Bytes of a stored record of a member, of which its metadata is the part that may be long."""


def check_ranges(value: Struct, what: str) -> None:
    """Check what a user handed in. Raises `ValueError`: names what is out of its range, and the range."""
    try:
        msgspec.convert(msgspec.to_builtins(value), type(value))
        msgspec.json.encode(value)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        name = re.split(r"[.\[]", path.strip("`.[").removeprefix("settings."))[0]
        name = "id" if name == "run" else name
        raise ValueError(f"The {name} of {what} is out of range: {problem}.") from error
    except UnicodeEncodeError as error:
        raise ValueError(f"What is said of {what} is no valid Unicode: {error}.") from error
