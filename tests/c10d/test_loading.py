"""What torch sees of us before it needs us, and how it gets at every backend."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.c10d.agents import FINDS_BACKENDS, PATIENCE, TORCHRUN, is_gloos
from tests.support.missing import need

Torchrun = Callable[..., "subprocess.Popen[str]"]
EXAMPLE = Path(__file__).parents[2] / "examples" / "rendezvous-jsonfile"

# Prints which of our modules, and of those that ours need, torch's import has loaded; what it logged; and
# which backends it knows.
LOOK = """
import json, logging, sys

missing = set(sys.argv[1].split(","))

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Missing())
logged = []

class Handler(logging.Handler):
    def emit(self, record):
        logged.append(record.getMessage())

logging.getLogger().addHandler(Handler())
logging.getLogger("torch.distributed.elastic.rendezvous.registry").addHandler(Handler())
from torch.distributed.elastic.rendezvous import RendezvousParameters, rendezvous_handler_registry as registry

loaded = [name for name in sys.modules if name.startswith("rendezvous_")]
loaded += {"redis", "grpc", "pyetcd", "etcd", "pluggy", "msgspec", "importlib_metadata"} & sys.modules.keys()
errors = []
for name in sys.argv[2:]:
    try:
        registry.create_handler(RendezvousParameters(name, "127.0.0.1:1", "run", 1, 1))
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
print(json.dumps({"loaded": loaded, "logged": logged, "names": list(registry._registry), "errors": errors}))
"""

by_torch = pytest.mark.skipif(not FINDS_BACKENDS, reason="torch looks for backends since 2.6")


@pytest.fixture
def torchrun(tmp_path: Path) -> Iterator[Torchrun]:
    """Start an agent, of the address ``127.0.0.<number>``; whatever is left of it is killed at the end."""
    fixed = [sys.executable, "-m", TORCHRUN, "--nnodes=2", "--rdzv-id=job", "--rdzv-backend=rendezvous"]
    with ExitStack() as stack:

        def torchrun(number: int, *arguments: object) -> subprocess.Popen[str]:
            agent = subprocess.Popen(
                [*fixed, f"--local-addr=127.0.0.{number}", *map(str, arguments)],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(tmp_path), "GLOO_SOCKET_IFNAME": "lo"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(agent)
            stack.callback(agent.kill)
            return agent

        yield torchrun


def look(missing: str = "", *create: str) -> dict[str, list[str]]:
    ran = subprocess.run(
        [sys.executable, "-c", LOOK, missing, *create], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, list[str]] = json.loads(ran.stdout.splitlines()[-1])
    return found


@by_torch
def test_torch_loads_next_to_nothing() -> None:
    """Its import stays as fast as it was: one small module, and what is above it, next to nothing."""
    found = look()
    assert found["loaded"] == [
        "rendezvous_core",
        "rendezvous_core.plugins",
        "rendezvous_core.plugins.torchrun",
    ]
    assert found["logged"] == []
    assert {"rendezvous", "sqlite"} <= set(found["names"])
    assert {"static", "etcd", "etcd-v2", "c10d"} <= set(found["names"])


@by_torch
def test_what_is_missing_is_told_only_to_those_who_ask() -> None:
    found = look("rendezvous_c10d", "sqlite")
    assert found["logged"] == []
    (error,) = found["errors"]
    assert error.startswith("ModuleNotFoundError: --rdzv-backend=sqlite needs")
    assert error.endswith("pip install rendezvous-c10d")


@by_torch
@pytest.mark.parametrize(
    ("name", "package", "client"),
    [("redis", "rendezvous_redis", "redis"), ("etcd-v3", "rendezvous_etcd", "pyetcd")],
)
def test_a_missing_client_is_told_only_to_those_who_ask(name: str, package: str, client: str) -> None:
    need(package)
    found = look(client, name)
    assert found["logged"] == []
    (error,) = found["errors"]
    assert error.startswith("RendezvousError: ")
    assert package.replace("_", "-") in error
    assert f"No module named '{client}" in error


def test_a_third_party_backend_serves_stock_torchrun(tmp_path: Path, torchrun: Torchrun) -> None:
    """Two agents over a backend that torch and we know nothing of but its entry point."""
    install(EXAMPLE, tmp_path)
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os, torch, torch.distributed as dist\n"
        "dist.init_process_group('gloo')\n"
        "total = torch.ones(1)\n"
        "dist.all_reduce(total)\n"
        "print('total', int(total), os.environ['TORCHELASTIC_RUN_ID'])\n"
        "dist.destroy_process_group()\n"
    )
    agents = [
        torchrun(
            number,
            "--rdzv-conf=use_backend=jsonfile",
            f"--rdzv-endpoint={tmp_path}/run.json",
            worker,
        )
        for number in (2, 3)
    ]
    for agent in agents:
        printed, errors = agent.communicate(timeout=PATIENCE)
        assert agent.returncode == 0, errors
        assert [line for line in printed.splitlines() if not is_gloos(line)] == ["total 2 job"]


def test_an_unknown_backend_is_told_with_those_there_are(torchrun: Torchrun) -> None:
    _, errors = torchrun(2, "--rdzv-conf=use_backend=carrier-pigeon", "w.py").communicate(timeout=PATIENCE)
    assert "RendezvousError" in errors
    assert "carrier-pigeon" in errors
    assert "sqlite" in errors


def test_a_backend_must_be_named(torchrun: Torchrun) -> None:
    _, errors = torchrun(2, "worker.py").communicate(timeout=PATIENCE)
    assert "needs the backend's name in --rdzv-conf=use_backend=<name>. Installed: " in errors


def install(project: Path, folder: Path) -> None:
    """Put a project of one module where Python finds it and its entry points, as an installer does."""
    for module in project.glob("*.py"):
        shutil.copy(module, folder)
    info = folder / "rendezvous_jsonfile-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rendezvous-jsonfile\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[rendezvous.backends]\njsonfile = rendezvous_jsonfile\n")
