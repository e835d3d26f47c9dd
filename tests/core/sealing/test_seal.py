"""What opens a sealed record, and what does not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rendezvous_core.ports.errors import RendezvousSecretError
from rendezvous_core.ports.sealed import SEALED
from rendezvous_core.sealing import keys
from rendezvous_core.sealing.keys import Keyring, keyring_of
from rendezvous_core.sealing.seal import OVERHEAD, Seal

ONE, OTHER = "one secret of these tests", "another secret of these"


@given(
    st.binary(max_size=200),
    st.text(max_size=20),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
)
def test_what_was_sealed_opens_at_its_place(data: bytes, name: str, run: str) -> None:
    sealed = Seal(Keyring(ONE), run).seal("state", name, data)
    assert len(sealed) == len(data) + OVERHEAD
    assert Seal(Keyring(ONE), run).open("state", name, sealed) == data


@pytest.mark.parametrize(
    ("run", "kind", "name"),
    [("run2", "state", "n"), ("run", "member", "n"), ("run", "state", "m"), ("ru", "nstate", "n")],
)
def test_it_opens_nowhere_else(run: str, kind: str, name: str) -> None:
    sealed = Seal(Keyring(ONE), "run").seal("state", "n", b"data")
    with pytest.raises(RendezvousSecretError, match="brought from another place"):
        Seal(Keyring(ONE), run).open(kind, name, sealed)


@given(st.data())
def test_not_a_bit_of_it_can_be_changed(data: st.DataObject) -> None:
    seal = Seal(Keyring(ONE), "run")
    sealed = bytearray(seal.seal("state", "", b"some data"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(RendezvousSecretError):
        seal.open("state", "", bytes(sealed))


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=100).map(lambda tail: SEALED + tail)))
def test_whatever_else_stands_there_is_refused(data: bytes) -> None:
    with pytest.raises(RendezvousSecretError):
        Seal(Keyring(ONE), "run").open("state", "", data)


def test_the_same_data_is_never_sealed_the_same() -> None:
    seal = Seal(Keyring(ONE), "run")
    assert len({seal.seal("state", "", b"") for _ in range(50)}) == 50


def test_who_has_another_secret_is_told() -> None:
    sealed = Seal(Keyring(OTHER), "run").seal("state", "", b"data")
    with pytest.raises(RendezvousSecretError, match=r"another secret .*give it as the option secret_file"):
        Seal(Keyring(ONE), "run").open("state", "", sealed)


def test_each_secret_opens_and_the_first_seals() -> None:
    both = Seal(Keyring(f"# new\n{ONE}\n\n{OTHER}\n"), "run")
    assert both.open("state", "", Seal(Keyring(OTHER), "run").seal("state", "", b"old")) == b"old"
    assert Seal(Keyring(ONE), "run").open("state", "", both.seal("state", "", b"new")) == b"new"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There are 0 secrets"),
        ("# none\n", "There are 0"),
        ("short", "less than 16"),
        (f"{ONE}\nx", "less than 16"),
    ],
)
def test_what_is_no_secret_is_refused_without_showing_it(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "secret"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as refused:
        Keyring(path=str(file))
    assert "openssl rand -hex 32" in str(refused.value) or "one a line" in str(refused.value)
    assert ONE not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"The file of the secret, '.*/none', cannot be read: No such file"):
        Keyring(path=str(tmp_path / "none"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe" * 20)
    with pytest.raises(ValueError, match="it is no text"):
        Keyring(path=str(tmp_path / "bytes"))


def test_a_file_that_all_can_read_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "secret"
    file.write_text(ONE)
    file.chmod(0o600)
    Keyring(path=str(file))
    assert not caplog.records
    file.chmod(0o644)
    Keyring(path=str(file))
    assert "chmod 0600" in caplog.text


def test_a_file_that_changes_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "_PAUSE", 0.0)
    file = tmp_path / "secret"
    file.write_text(ONE)
    ring, other = Keyring(path=str(file)), Keyring(OTHER).first
    assert ring.find(other.id) is None
    file.write_text(f"{ONE}\n{OTHER}\n")
    found = ring.find(other.id)
    assert found is not None
    assert found.id == other.id
    assert ring.first.id != other.id
    file.write_text("short")
    assert ring.first.id != other.id
    assert "The secrets read before still hold" in caplog.text
    file.unlink()
    assert ring.first.id != other.id
    file.write_text(OTHER)
    assert ring.first.id == other.id


@pytest.mark.parametrize(
    ("given_ones", "environ"),
    [
        ((ONE, "file"), {}),
        ((None, None), {"RENDEZVOUS_SECRET": ONE, "RENDEZVOUS_SECRET_FILE": "file"}),
    ],
)
def test_two_secrets_are_refused(given_ones: tuple[str | None, str | None], environ: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give one of them"):
        keyring_of(*given_ones, environ)


def test_what_is_given_counts_more_than_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(OTHER)
    environ = {"RENDEZVOUS_SECRET": ONE}
    rings: list[Callable[[], Keyring | None]] = [
        lambda: keyring_of(None, None, environ),
        lambda: keyring_of(OTHER, None, environ),
        lambda: keyring_of(None, str(file), environ),
        lambda: keyring_of(None, None, {"RENDEZVOUS_SECRET_FILE": str(file)}),
    ]
    ids = [ring.first.id for make in rings if (ring := make())]
    assert ids == [Keyring(ONE).first.id, *[Keyring(OTHER).first.id] * 3]
    assert keyring_of(None, None, {}) is None


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(ValueError, match=r"pip install 'rendezvous-core\[secret\]'"):
        Keyring(ONE)
