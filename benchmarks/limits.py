"""What a machine allows a group that is all on it."""

import resource
from contextlib import suppress
from pathlib import Path

_FILES = 65536
"""Open files: two connections a node at the server, and all of them in one or the other process."""


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
