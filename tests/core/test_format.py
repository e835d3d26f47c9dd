"""Records as releases wrote them: nodes of two releases side by side read them, or say which they are of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rendezvous_core import RendezvousStateError
from rendezvous_core.protocol.codec import (
    VERSION,
    decode_member,
    decode_page,
    decode_state,
    encode_member,
    encode_page,
    encode_state,
)

RECORDED = sorted((Path(__file__).parent / "format").glob("*.json"))
CODEC: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    "state": (decode_state, encode_state),
    "head": (decode_state, encode_state),
    "page": (decode_page, encode_page),
    "member": (decode_member, encode_member),
}


def test_present_version_is_recorded() -> None:
    assert {f"{kind}-{VERSION}" for kind in CODEC} <= {path.stem for path in RECORDED}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_format(path: Path) -> None:
    """What is of this version is read whole: nothing that was said is lost, or reads as something else."""
    kind, _, version = path.stem.partition("-")
    decode, encode = CODEC[kind]
    recorded = path.read_bytes()
    if int(version) != VERSION:
        with pytest.raises(RendezvousStateError, match=f"version {version}, .* version {VERSION}"):
            decode(recorded)
        return
    what = "state" if kind == "head" else kind
    said = msgspec.json.decode(recorded)[what]
    written = msgspec.json.decode(encode(decode(recorded)))[what]
    assert said.items() <= written.items()
