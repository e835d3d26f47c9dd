"""What a machine allows a group that is all on it."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FILES = 65536
"""Open files: two connections a node at the server, and all of them in one or the other process."""

_YIELDING = 19
"""How nice a process is that has stepped back."""


def raise_limits() -> list[str]:
    """Let this process and its children have as many open files as may be; say what the limits are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(most, _FILES), most):
        with suppress(ValueError, OSError):  # only root raises the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            break
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = [f"open files {files}"]
    for name in ("kernel/pid_max", "kernel/threads-max", "vm/max_map_count", "net/ipv4/ip_local_port_range"):
        path = Path("/proc/sys", name)
        if path.exists():
            limits.append(f"{path.name} {' '.join(path.read_text().split())}")
    return limits


def go_first() -> None:
    """Have this process, and what it starts, go before all that has stepped back, where that is allowed.

    Thousands of threads that want to run leave little to a server, and to who coordinates. Where nodes
    are deployed, they are on other machines.
    """
    with suppress(OSError):  # only root may
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


@contextmanager
def taking_turns() -> Iterator[None]:
    """What is started meanwhile takes turns with others again."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def step_back() -> None:
    """Have this process go after the others."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(_YIELDING)
