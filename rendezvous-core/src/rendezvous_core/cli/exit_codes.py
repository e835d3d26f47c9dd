"""What ``rdzv`` exits with. Scripts rely on these numbers; ``docs/cli.md`` explains them."""

import sys
from enum import IntEnum

from rendezvous_core.ports.errors import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousGracefulExitError,
    RendezvousStateError,
    RendezvousTimeoutError,
)


class ExitCode(IntEnum):
    """The exit codes of all commands."""

    OK = 0
    FAILED = 1
    """An error that has no code of its own."""
    USAGE = 2
    """A wrong option, endpoint or backend name."""
    TIMEOUT = 4
    """The group did not form in time."""
    CLOSED = 5
    """The run is closed."""
    UNREACHABLE = 6
    """The backend cannot be reached."""
    BAD_STATE = 7
    """What the backend holds is corrupt, or the settings differ from the group's."""
    NO_RUN = 8
    """There is no such run."""
    UNHEALTHY = 9
    """``rdzv doctor`` found something."""
    IN_USE = 10
    """A run cannot be removed, as nodes are at work in it."""
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


_CODES = (
    (RendezvousGracefulExitError, ExitCode.OK),
    (RendezvousTimeoutError, ExitCode.TIMEOUT),
    (RendezvousClosedError, ExitCode.CLOSED),
    (RendezvousConnectionError, ExitCode.UNREACHABLE),
    (RendezvousStateError, ExitCode.BAD_STATE),
    (ValueError, ExitCode.USAGE),
)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def status_of(returncode: int) -> int:
    """Return a command's return code as an exit code: 128 and the number of a signal that ended it."""
    return returncode if returncode >= 0 else 128 - returncode


def fail(code: ExitCode, text: str) -> ExitCode:
    """Say on stderr what went wrong; return ``code``, for the command to return."""
    print(f"rdzv: {text}", file=sys.stderr)
    return code
