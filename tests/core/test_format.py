"""Records as releases wrote them: nodes of two releases side by side read them, or say which they are of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rendezvous_core import RendezvousSecretError, RendezvousStateError
from rendezvous_core.ports.backend import MembershipBackend
from rendezvous_core.ports.sealed import SEALED
from rendezvous_core.ports.store import Store
from rendezvous_core.records import codec
from rendezvous_core.records.codec import (
    VERSION,
    decode_member,
    decode_page,
    decode_state,
    encode_member,
    encode_page,
    encode_state,
)
from rendezvous_core.sealing.backend import SealedBackend
from rendezvous_core.sealing.keys import Keyring
from rendezvous_core.sealing.store import SealedStore
from rendezvous_core.testing import MemoryBackend, MemoryServer, MemoryStore

RECORDED = sorted((Path(__file__).parent / "format").glob("*.json"))
PRESENT = [path for path in RECORDED if path.stem.endswith(f"-{VERSION}")]
CODEC: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    # Without its memory of what was decoded before.
    "state": (decode_state.__wrapped__, encode_state),
    "head": (decode_state.__wrapped__, encode_state),
    "page": (decode_page, encode_page),
    "member": (decode_member, encode_member),
}
RUN, NODE, PAGE = "training", "node-a", "rendezvous/training/ledger/7c1d/0"
SECRET = "the secret of these records"

recorded = pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
present = pytest.mark.parametrize("path", PRESENT, ids=lambda path: path.stem)


class Kept:
    """Where a run keeps its records: as they are, and as who has the secret writes and reads them."""

    def __init__(self) -> None:
        server, keyring = MemoryServer(), Keyring(SECRET)
        self.plain = MemoryBackend(server, RUN), MemoryStore(server, RUN)
        backend, store = self.plain
        self.opened = SealedBackend(backend, keyring, RUN), SealedStore(store, keyring, RUN)


def write(path: Path, data: bytes, backend: MembershipBackend, store: Store) -> None:
    """Put ``data`` where records are that are of the kind of ``path``."""
    match path.stem.partition("-")[0]:
        case "page":
            store.set(PAGE, data)
        case "member":
            backend.put_member(NODE, data, announce=True)
        case _:
            backend.set_state(data)


def read(path: Path, backend: MembershipBackend, store: Store) -> bytes | None:
    """Return what is there; of a member that does not open, nothing."""
    match path.stem.partition("-")[0]:
        case "page":
            return store.get(PAGE)
        case "member":
            return backend.members().records.get(NODE)
        case _:
            state = backend.get_state()
            return state and state[0]


def test_present_version_is_recorded() -> None:
    assert {path.stem for path in PRESENT} == {f"{kind}-{VERSION}" for kind in CODEC}


@recorded
def test_recorded_format(path: Path) -> None:
    """What is of this version is read whole: nothing that was said is lost, or reads as something else."""
    kind, _, version = path.stem.partition("-")
    decode, encode = CODEC[kind]
    data = path.read_bytes()
    if int(version) != VERSION:
        with pytest.raises(RendezvousStateError, match=f"version {version}, .* version {VERSION}"):
            decode(data)
        return
    what = "state" if kind == "head" else kind
    said = msgspec.json.decode(data)[what]
    written = msgspec.json.decode(encode(decode(data)))[what]
    assert said.items() <= written.items()


@present
@pytest.mark.parametrize("other", [VERSION - 1, VERSION + 1])
def test_node_of_another_version_says_which(path: Path, other: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "VERSION", other)
    decode, _ = CODEC[path.stem.partition("-")[0]]
    with pytest.raises(
        RendezvousStateError, match=f"version {VERSION}, but this node speaks version {other}"
    ):
        decode(path.read_bytes())


@recorded
def test_sealed_record_opens_to_the_plain_one(path: Path) -> None:
    """Recorded by writing the plain one to what is opened, and reading what is plainly there."""
    kept = Kept()
    write(path, path.with_suffix(".sealed").read_bytes(), *kept.plain)
    assert read(path, *kept.opened) == path.read_bytes()


@present
def test_sealed_record_says_that_it_is(path: Path) -> None:
    data = path.with_suffix(".sealed").read_bytes()
    assert data.startswith(SEALED)
    with pytest.raises(RendezvousSecretError, match="sealed with a secret, and this node has none"):
        CODEC[path.stem.partition("-")[0]][0](data)


@present
def test_plain_record_is_refused_where_there_is_a_secret(path: Path) -> None:
    kept = Kept()
    write(path, path.read_bytes(), *kept.plain)
    if path.stem.startswith("member"):  # whoever wrote it must not disturb the others
        assert read(path, *kept.opened) is None
        return
    with pytest.raises(RendezvousSecretError, match="is not sealed, and this node has a secret"):
        read(path, *kept.opened)
