"""What Redis and its client say, told as rendezvous errors that name the server and the fix."""

import ssl

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    InvalidResponse,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from rendezvous_core import RendezvousConnectionError, RendezvousError, RendezvousStateError
from rendezvous_redis._advice import Advice, advice_for

IN_DOUBT = "What was to be written may have been written or not."

_CODES: dict[type[Exception], str] = {
    MovedError: "MOVED",
    AskError: "ASK",
    AuthenticationError: "WRONGPASS",
    BusyLoadingError: "LOADING",
    MasterDownError: "MASTERDOWN",
    ClusterDownError: "CLUSTERDOWN",
    NoPermissionError: "NOPERM",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    TryAgainError: "TRYAGAIN",
}
"""What redis-py takes from the text and makes a class of; the first that fits."""


class NoMasterError(RedisError):
    """No server can be told to be the right one at the moment."""


class UnknownMasterError(RedisError):
    """The Sentinels do not know the name."""


class AskedError(RedisError):
    """A Sentinel or a node of the cluster refuses, by its cause, to tell where the server is."""


def is_refusal(error: Exception) -> bool:
    """Whether the server has said that it does not do what was asked."""
    return isinstance(error, ResponseError | AuthenticationError | BusyLoadingError)


def is_passing(error: Exception) -> bool:
    """Whether another attempt, perhaps with another server, may succeed."""
    if advice := _advice(error):
        return advice.passes
    return not isinstance(_refusal(error), ResponseError | InvalidResponse | UnknownMasterError)


def explain(error: Exception, server: str, in_doubt: bool = False) -> RendezvousError:
    """Turn ``error`` into the rendezvous error to raise from it; ``in_doubt`` if something was written."""
    doubt = f" {IN_DOUBT}" if in_doubt else ""
    if is_passing(error):
        return RendezvousConnectionError(
            f"The Redis server {server} cannot be reached: {told(error)}.{doubt}"
        )
    return RendezvousStateError(f"The Redis server {server} cannot be used: {told(error)}.{doubt}")


def told(error: Exception) -> str:
    """Say what ``error`` means and what to do about it."""
    text = str(error).rstrip(".") or type(error).__name__
    if len(text) > 200:
        text = f"{text[:200].rstrip()}..."
    advice = _advice(error)
    if advice is not None:
        return f"{advice.text} ({text})"
    return f"it refuses a command ({text})" if isinstance(_refusal(error), ResponseError) else text


def _advice(error: Exception) -> Advice | None:
    error = _refusal(error)
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "")
    return advice_for(f"{code} {error} {_tls_failure(error) or ''}")


def _refusal(error: Exception) -> Exception:
    cause = error.__cause__
    return cause if isinstance(error, AskedError) and isinstance(cause, Exception) else error


def _tls_failure(error: BaseException | None) -> BaseException | None:
    """Find what TLS said under the client's own exceptions."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error
