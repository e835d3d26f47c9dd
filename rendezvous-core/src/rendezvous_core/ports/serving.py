"""Where a server that is started on this machine can listen."""

import errno
import random
import socket

_RANGE = range(10000, 32768)
"""Below the ports that systems give to connections, and to servers that take any (Linux from 32768 on)."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port at which nobody listens now, which nobody is given who asks for any port.

    So a server that is told of it finds it free when it starts, and again after a stop. A port that the
    system chose would be given away in between: to others, or to a client which looks for that very
    server, and with the same port at both ends is connected to itself.
    """
    # Not by the state that forked processes and seeded tests have in common.
    for port in random.SystemRandom().sample(_RANGE, 100):
        try:
            return _listen(host, port)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    return _listen(host, 0)


def _listen(host: str, port: int) -> int:
    """Listen for a moment; returns the port, of which 0 leaves the choice to the system."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        return int(listener.getsockname()[1])
