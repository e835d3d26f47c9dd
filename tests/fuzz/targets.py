"""The doors through which strangers' bytes come in. Each target raises what it should not have raised."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rendezvous_core import Option, RendezvousParameters, RendezvousStateError
from rendezvous_core.ports.endpoint import parse_config, parse_endpoint, parse_endpoints
from rendezvous_core.ports.options import check_options
from rendezvous_core.ports.redaction import redact, shown
from rendezvous_core.ports.settings import HANDLER_OPTIONS
from rendezvous_core.records.codec import decode_member, decode_state, encode_member, encode_state
from rendezvous_core.sealing.keys import Keyring
from rendezvous_core.sealing.seal import Seal

_SEAL = Seal(Keyring("the secret of the fuzzer"), "run")
_KINDS = (Option("pairs", "pairs", ""), Option("path", "path", ""), Option("count", "integer", "", most=9))
_MARKER = "hunterMARK2"
_LONGEST = 800
"""Characters of an error, whatever was given: what is shown of it is short."""


def records(data: bytes) -> None:
    """State and members: what can be read can be written, and is the same then."""
    with suppress(RendezvousStateError):
        state = decode_state(data)
        assert decode_state(encode_state(state)) == state
    with suppress(RendezvousStateError):
        member = decode_member(data)
        assert decode_member(encode_member(member)) == member


def sealed(data: bytes) -> None:
    """What somebody without the secret wrote."""
    try:
        _SEAL.open("state", "", data)
    except RendezvousStateError:
        return
    raise AssertionError("it opens")


def endpoints(data: bytes) -> None:
    """Endpoints, as text of any kind."""
    text = data.decode("utf-8", "surrogateescape")
    calls: tuple[Callable[[], Any], ...] = (
        lambda: parse_endpoint(text, 1),
        lambda: parse_endpoints(text, 1),
        lambda: repr(RendezvousParameters("sqlite", text, "run", 1, 1)),
    )
    for call in calls:
        with suppress(ValueError):
            call()
    for secret in (f"{text}{_MARKER}@host:1", f"redis://u:{text}{_MARKER}@host", f"{text}?auth={_MARKER}"):
        if _MARKER in redact(secret):
            raise AssertionError(f"a secret is shown of {secret!a}")


def options(data: bytes) -> None:
    """``--rdzv-conf``, and what is read of it."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        given = parse_config(text)
        check_options("sqlite", given, (*HANDLER_OPTIONS, *_KINDS))
    except ValueError as error:
        if len(str(error)) > _LONGEST:
            raise AssertionError("the error is as long as what was given") from error
    assert len(shown(text)) <= 80


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (records, sealed, endpoints, options)
}
