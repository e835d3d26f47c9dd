"""Uses an installed rendezvous-c10d that has only core and torch beside it: two torchrun agents meet."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import rendezvous_c10d
from rendezvous_core import installed_backends
from rendezvous_core.ports.serving import free_port

WORKER = """
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
total = torch.ones(1)
dist.all_reduce(total)
print("workers", int(total))
dist.destroy_process_group()
"""


def torchrun(number: int, *arguments: str) -> "subprocess.Popen[str]":
    fixed = ["--nnodes=2", "--rdzv-id=run", f"--local-addr=127.0.0.{number}"]
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("torchrun")), *fixed, *arguments],
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def two_agents_meet(*arguments: str) -> None:
    agents = [torchrun(number, *arguments) for number in (2, 3)]
    for agent in agents:
        printed, errors = agent.communicate(timeout=120)
        assert (agent.returncode, printed) == (0, "workers 2\n"), errors


def nothing_else_is_here() -> None:
    assert "site-packages" in str(rendezvous_c10d.__file__)
    assert not [
        name for name in ("click", "pytest", "redis", "etcd", "numpy") if importlib.util.find_spec(name)
    ]
    assert [backend.name for backend in installed_backends()] == ["c10d", "sqlite", "static"]
    _, errors = torchrun(
        2, "--rdzv-backend=rendezvous", "--rdzv-conf=use_backend=redis", "x.py"
    ).communicate()
    assert "pip install rendezvous-redis" in errors, errors


def mistakes_are_refused(endpoint: str) -> None:
    told = {
        "--rdzv-conf=join_timout=5": "has no option 'join_timout'; did you mean 'join_timeout'?",
        "--rdzv-conf=use_backend=c10d": "The option 'use_backend' ('c10d') is for --rdzv-backend=rendezvous",
    }
    agents = [
        torchrun(2, "--rdzv-backend=sqlite", f"--rdzv-endpoint={endpoint}", mistake, "x.py")
        for mistake in told
    ]
    for agent, answer in zip(agents, told.values(), strict=True):
        _, errors = agent.communicate(timeout=120)
        assert agent.returncode != 0
        assert answer in errors, errors


if __name__ == "__main__":
    nothing_else_is_here()
    with tempfile.TemporaryDirectory() as folder:
        worker = Path(folder, "worker.py")
        worker.write_text(WORKER)
        mistakes_are_refused(f"{folder}/mistakes.db")
        two_agents_meet("--rdzv-backend=sqlite", f"--rdzv-endpoint={folder}/run.db", str(worker))
        endpoint = f"--rdzv-endpoint=localhost:{free_port('')}"
        two_agents_meet("--rdzv-backend=rendezvous", "--rdzv-conf=use_backend=c10d", endpoint, str(worker))
