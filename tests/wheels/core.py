"""Uses an installed rendezvous-core that has nothing beside it: two processes meet over a file."""

import importlib.util
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

import rendezvous_core
from rendezvous_core import (
    RendezvousParameters,
    UnknownBackendError,
    get_rendezvous_handler,
    installed_backends,
)

NODE = """
import sys
from rendezvous_core import RendezvousParameters, get_rendezvous_handler

handler = get_rendezvous_handler(RendezvousParameters("sqlite", sys.argv[1], "run", 2, 2))
info = handler.next_rendezvous()
print(info.rank, info.world_size, info.store.add("present", 1) in (1, 2))
info.store.barrier("end", info.world_size)
handler.leave(done=True)
"""


def two_processes_meet() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", NODE, str(Path(folder, "run.db"))]
        nodes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        printed = sorted(node.communicate(timeout=60)[0] for node in nodes)
    assert printed == ["0 2 True\n", "1 2 True\n"], printed


def nothing_else_is_here() -> None:
    assert "site-packages" in str(rendezvous_core.__file__)
    assert not [
        name for name in ("click", "rich", "pytest", "redis", "torch") if importlib.util.find_spec(name)
    ]
    version = distribution("rendezvous-core").version
    assert installed_backends() == [(name, "rendezvous-core", version) for name in ("sqlite", "static")]
    message = ""
    try:
        get_rendezvous_handler(RendezvousParameters("redis", "", "run", 1, 1))
    except UnknownBackendError as error:
        message = str(error)
    assert "pip install rendezvous-redis" in message


if __name__ == "__main__":
    nothing_else_is_here()
    two_processes_meet()
