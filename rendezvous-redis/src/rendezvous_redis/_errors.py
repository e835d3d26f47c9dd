"""What Redis and its client say, told as rendezvous errors that name the server and the fix."""

import re
import ssl

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from rendezvous_core import RendezvousConnectionError, RendezvousError, RendezvousStateError

# Inside a script older servers wrap the reply in text of their own, where no class tells it.
_CODE = re.compile(
    r"\b(BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOAUTH|NOPERM|NOREPLICAS|OOM|READONLY|TRYAGAIN"
    r"|UNBLOCKED|WRONGPASS|WRONGTYPE)\b"
)
_PHRASES = {
    "NOAUTH": re.compile("unauthenticated"),
    "NOCLUSTER": re.compile("cluster support disabled"),
    "NODB": re.compile("DB index|SELECT is not allowed"),
    "NOPERM": re.compile("no permissions|can't run this command|can't access at least one"),
    "NOSENTINEL": re.compile("unknown command .SENTINEL", re.IGNORECASE),
}
_CLASSES: dict[type[Exception], str] = {
    AskError: "TRYAGAIN",
    AuthenticationError: "WRONGPASS",
    AuthorizationError: "WRONGPASS",
    ClusterDownError: "CLUSTERDOWN",
    NoPermissionError: "NOPERM",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    TryAgainError: "TRYAGAIN",
}
_PASSING = {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "NOREPLICAS", "READONLY", "TRYAGAIN", "UNBLOCKED"}
"""What ends without anybody's doing, or with a failover."""

_ADVICE = {
    "CLUSTERDOWN": "the cluster does not serve the run's slot: see CLUSTER INFO",
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it is a replica without a primary",
    "MISCONF": "it cannot persist its data and therefore refuses to write: repair its disk",
    "NOAUTH": "it asks for a password: give the option 'password', or set RENDEZVOUS_REDIS_PASSWORD",
    "NOCLUSTER": "it is no cluster: write host:port, or redis://host:port",
    "NODB": "it has no such database: correct its number",
    "NOPERM": "the user may not do this: grant what the README of rendezvous-redis lists",
    "NOREPLICAS": "it has too few replicas to write",
    "NOSENTINEL": "it is no Sentinel: name Sentinels, usually at port 26379",
    "OOM": "it is out of memory: raise its maxmemory, or free some",
    "READONLY": "it is a read-only replica: give the address of the primary",
    "WRONGPASS": "it refuses the user or the password: correct them",
    "WRONGTYPE": "something else is stored under a key of this run: delete it, or choose another run id or "
    "key_prefix",
}


class NoMasterError(RedisError):
    """No server can be told to be the right one at the moment."""


class UnknownMasterError(RedisError):
    """The Sentinels do not know the name."""


class AskedError(RedisError):
    """A Sentinel or a node of the cluster refuses, by its cause, to tell where the server is."""


def code_of(error: Exception) -> str:
    """Return the code with which the server refused, or nothing."""
    error = _refusal(error)
    for kind, code in _CLASSES.items():
        if isinstance(error, kind):
            return code
    if not isinstance(error, ResponseError):
        return ""
    if found := _CODE.search(str(error)):
        return found[1]
    return next((code for code, phrase in _PHRASES.items() if phrase.search(str(error))), "")


def is_passing(error: Exception) -> bool:
    """Whether another attempt, perhaps with another server, may succeed."""
    error = _refusal(error)
    if isinstance(error, MovedError):
        return True
    if code := code_of(error):
        return code in _PASSING
    if isinstance(_tls_failure(error), ssl.SSLCertVerificationError):
        return False
    return not isinstance(error, ResponseError | InvalidResponse | UnknownMasterError)


def explain(error: Exception, server: str) -> RendezvousError:
    """Turn ``error`` into the rendezvous error to raise from it."""
    text = str(error).rstrip(".") or type(error).__name__
    refusal = _refusal(error)
    if advice := _ADVICE.get(code_of(error)):
        text = f"{advice} ({text})"
    elif tls := _tls_failure(error):
        is_untrusted = isinstance(tls, ssl.SSLCertVerificationError)
        advice = "its certificate is not trusted: check ca_cert and the host name" if is_untrusted else ""
        text = f"{advice or 'TLS has failed: is this its port for TLS?'} ({text})"
    elif isinstance(refusal, InvalidResponse):
        text = f"it does not speak the protocol of Redis: does it want TLS, as rediss://? ({text})"
    elif isinstance(refusal, ResponseError) and not is_passing(error):
        text = f"it refuses a command ({text}); it must be Redis 6.2 or later, or Valkey"
    elif text == "Connection closed by server":
        text = "it closes the connection: does it want TLS, as rediss://, or a client's certificate?"
    if is_passing(error):
        return RendezvousConnectionError(f"The Redis server {server} cannot be reached: {text}.")
    return RendezvousStateError(f"The Redis server {server} cannot be used: {text}.")


def _refusal(error: Exception) -> Exception:
    cause = error.__cause__
    return cause if isinstance(error, AskedError) and isinstance(cause, Exception) else error


def _tls_failure(error: BaseException | None) -> BaseException | None:
    """Find what TLS said under the client's own exceptions."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error
