"""What the suites try, and how they look at the answers."""

from collections.abc import Callable
from typing import TypeVar

from rendezvous_core.ports.backend import RendezvousBackend, Token
from rendezvous_core.ports.errors import RendezvousError

T = TypeVar("T")

BINARY = bytes(range(256))
MIB = b"\0x\xff\n" * (256 * 1024)

SIMILAR = ("", "2", "/2", "%2F2", "/state", "/members", ":state", "*", "?", " \u00fc \u540d")
"""What makes run ids that a careless key scheme would mix up."""

ATTEMPTS = 50
"""More than it takes to lose the reply of every step of an operation."""


def found(backend: RendezvousBackend) -> tuple[bytes, Token]:
    """Read a state that must be there."""
    result = backend.get_state()
    assert result is not None, "there is no state"
    assert result[1] is not None, "None never stands for an existing state"
    return result


def written(result: tuple[bytes, Token, bool] | None) -> tuple[bytes, Token]:
    """Check that a write succeeded, and return its state and token."""
    assert result is not None, "the write failed, and no state stands"
    assert result[2] is True, f"the write failed: {result}"
    assert result[1] is not None, "None never stands for an existing state"
    return result[:2]


def refused(result: tuple[bytes, Token, bool] | None) -> tuple[bytes, Token]:
    """Check that a write failed because another state stands, and return that with its token."""
    assert result is not None, "no state stands"
    assert result[2] is False, f"the write succeeded: {result}"
    return result[:2]


def outcome(call: Callable[[], T]) -> T | None:
    """Call what may fail, but by no other than a rendezvous error."""
    try:
        return call()
    except RendezvousError:
        return None


def count_up(backend: RendezvousBackend, times: int) -> None:
    """Add to the number in the state by compare-and-set."""
    for _ in range(times):
        state, token = found(backend)
        while True:
            result = backend.set_state(b"%d" % (int(state) + 1), token)
            assert result is not None, "no state stands"
            state, token, wrote = result
            if wrote:
                break
