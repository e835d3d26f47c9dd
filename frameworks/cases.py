"""What is tried, and how people type it."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from frameworks.trial import Trial
from tests.c10d import backends
from tests.c10d.backends import Backend

PROGRAMS = Path(__file__).with_name("programs")

CONF = "keep_alive_interval=0.5,keep_alive_max_attempt=20,last_call_timeout=2"
"""A node that was killed is found out within ten seconds."""

Meeting = Callable[[Path], AbstractContextManager[Backend]]
Commands = Callable[[Backend], Sequence[Sequence[str]]]
"""From where nodes meet to the command of each of two nodes."""


class Case(NamedTuple):
    """One way to run a framework."""

    framework: str
    """As pip knows it."""
    shown: str
    """What people type, in short."""
    commands: Commands
    meeting: Meeting = backends.sqlite
    launched: str = ""
    replaced: bool = False
    status: int = 0
    says: str = ""
    """As in `Trial`."""

    def trial(self, met: Backend) -> Trial:
        """What is tried where nodes meet there."""
        return Trial(self.commands(met), self.launched, self.replaced, self.status, self.says)


@contextmanager
def etcd_v2(folder: Path) -> Iterator[Backend]:
    """By etcd's former API."""
    with backends.etcd(folder) as met:
        yield Backend("rendezvous", met.endpoint, {"use_backend": "etcd-v2"})


@contextmanager
def legacy_etcd(folder: Path) -> Iterator[Backend]:
    """By the protocol of torch's own handler for etcd."""
    with backends.etcd(folder) as met:
        yield Backend("rendezvous", met.endpoint, {"use_backend": "etcd"})


def torchrun(
    program: str, *options: str, launcher: Sequence[str] = ("torchrun",), conf: str = CONF
) -> Commands:
    """Two agents with a worker each."""

    def commands(met: Backend) -> list[list[str]]:
        given = ",".join([conf, *(f"{key}={value}" for key, value in met.conf.items())])
        agent = [
            *launcher,
            "--nnodes=1:2",
            "--nproc-per-node=1",
            "--max-restarts=9",
            "--rdzv-id=job",
            f"--rdzv-backend={met.name}",
            f"--rdzv-endpoint={met.endpoint}",
            f"--rdzv-conf={given}",
            "--local-addr=127.0.0.1",
            *options,
            str(PROGRAMS / f"{program}.py"),
        ]
        return [agent, agent]

    return commands


def rdzv(program: str, *options: str) -> Commands:
    """Two nodes of ``rdzv run``."""

    def commands(met: Backend) -> list[list[str]]:
        node = [
            "rdzv",
            "run",
            f"--backend={met.name}",
            f"--endpoint={met.endpoint}",
            "--run-id=job",
            "--nodes=1:2",
            "--max-restarts=9",
            "--grace=3",
            f"--conf={CONF}",
            "--local-addr=127.0.0.1",
            *options,
            "--",
            sys.executable,
            str(PROGRAMS / f"{program}.py"),
        ]
        return [node, node]

    return commands


def by_variables(met: Backend) -> list[list[str]]:
    """A torchrun whose options are variables."""
    options = {
        "NNODES": "1:2",
        "NPROC_PER_NODE": "1",
        "MAX_RESTARTS": "9",
        "RDZV_ID": "job",
        "RDZV_BACKEND": met.name,
        "RDZV_ENDPOINT": met.endpoint,
        "RDZV_CONF": CONF,
    }
    variables = [f"PET_{name}={value}" for name, value in options.items()]
    agent = ["env", *variables, "torchrun", "--local-addr=127.0.0.1", str(PROGRAMS / "ddp.py")]
    return [agent, agent]


def program(name: str) -> Commands:
    """Two processes that meet by themselves."""

    def commands(met: Backend) -> list[list[str]]:
        return [[sys.executable, str(PROGRAMS / f"{name}.py"), met.endpoint, CONF]] * 2

    return commands


def launched(name: str) -> Commands:
    """One process that starts both nodes."""
    return lambda met: program(name)(met)[:1]


def torchx(met: Backend) -> list[list[str]]:
    """torchx starts both agents; they take from torchrun's variables what ``dist.ddp`` has no option for."""
    return [
        [
            *("env", f"PET_RDZV_CONF={CONF}", "PET_MAX_RESTARTS=9", "PET_LOCAL_ADDR=127.0.0.1"),
            *("torchx", "run", "-s", "local_cwd", "dist.ddp", "-j", "1:2x1", f"--rdzv_backend={met.name}"),
            *(f"--rdzv_port={met.endpoint.rpartition(':')[2]}", f"--script={PROGRAMS / 'ddp.py'}"),
        ]
    ]


def accelerate(met: Backend) -> list[list[str]]:
    """Accelerate's own launcher: it takes the run id and the address from torchrun's variables."""
    host, _, port = met.endpoint.rpartition(":")
    node = [
        *("env", "PET_RDZV_ID=job", "PET_LOCAL_ADDR=127.0.0.1", "ACCELERATE_USE_CPU=true"),
        *("accelerate", "launch", "--multi_gpu", "--num_machines=2", "--num_processes=2"),
        *("--machine_rank=1", "--max_restarts=9", "--mixed_precision=no", "--dynamo_backend=no"),
        *(f"--main_process_ip={host}", f"--main_process_port={port}"),
        *(f"--rdzv_backend={met.name}", f"--rdzv_conf={CONF}"),
        str(PROGRAMS / "accelerated.py"),
    ]
    return [node, node]


def cases() -> Iterator[Case]:
    """Yield all of them, those that are installed fast first."""
    for meeting in (backends.sqlite, backends.redis):
        yield Case("torch", f"torchrun --rdzv-backend={meeting.__name__}", torchrun("ddp"), meeting)
    yield Case("torch", "torchrun --rdzv-backend=etcd-v3", torchrun("ddp"), backends.etcd)
    through = "torchrun --rdzv-backend=rendezvous --rdzv-conf=use_backend"
    yield Case("torch", f"{through}=c10d", torchrun("ddp"), backends.c10d)
    yield Case("torch", f"{through}=etcd-v2", torchrun("ddp"), etcd_v2)
    legacy = torchrun("ddp", conf="last_call_timeout=2")
    yield Case("torch", f"{through}=etcd", legacy, legacy_etcd)
    module = (sys.executable, "-m", "torch.distributed.run")
    yield Case("torch", "python -m torch.distributed.run", torchrun("ddp", launcher=module))
    yield Case("torch", "PET_RDZV_BACKEND=sqlite torchrun", by_variables)
    yield Case("torch", "elastic_launch(LaunchConfig(...), main)()", program("launching"))
    yield Case("torch", "rdzv run --export torch", rdzv("ddp", "--export=torch"))
    yield Case("torch", "host_tcp_store(info)", program("hosted_store"))
    yield Case(
        "torchx", "torchx run dist.ddp --rdzv_backend redis", torchx, backends.redis, "torchrun", status=1
    )
    yield Case("accelerate", "torchrun, Accelerator()", torchrun("accelerated"))
    yield Case(
        "accelerate",
        "accelerate launch --rdzv_backend=redis",
        accelerate,
        backends.redis,
        replaced=True,
    )
    logged = "INFO: Run logged: "
    yield Case("lightning", "torchrun, Trainer()", torchrun("lightning_trainer"), says=logged)
    yield Case(
        "lightning",
        "rdzv run --export torch, Trainer()",
        rdzv("lightning_trainer", "--export=torch"),
        says=logged,
    )
    yield Case(
        "ray[train]",
        "TorchTrainer(..., torch_config=RendezvousConfig())",
        launched("rayed"),
        launched="RayTrainWorker",
        replaced=True,
        says=r"logged .*\bjoined\b",
    )
    yield Case("deepspeed", "torchrun, init_distributed()", torchrun("deep"))
    yield Case("torchft-nightly", "torchrun, Manager()", torchrun("replicas"))
    yield Case("jax", "rdzv run --export jax", rdzv("jaxed", "--export=jax"))
    yield Case("xgboost", "rdzv run", rdzv("boosted"))
    yield Case("distributed", "rdzv run", rdzv("dasked"))
    yield Case("tensorflow-cpu", "rdzv run --export tensorflow", rdzv("tensor", "--export=tensorflow"))


CASES = list(cases())
