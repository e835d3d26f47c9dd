"""Ray Train: its workers meet over ours, and log by Ray's formatter."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import ray
import torch
import torch.distributed as dist
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, TorchTrainer

from frameworks.programs.work import work
from rendezvous_c10d import as_torch_store
from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler

handlers: list[RendezvousHandler] = []


class RendezvousConfig(TorchConfig):
    """In place of Ray's own: the workers meet over our backend."""

    def __init__(self, **params: Any) -> None:
        super().__init__(backend="gloo")
        self.params = params

    @property
    def backend_cls(self) -> type[Backend]:
        """What brings the workers together."""
        return OverRendezvous


class OverRendezvous(Backend):
    """Is told of each group of workers that Ray has started, and of its end."""

    def on_start(self, worker_group: Any, backend_config: RendezvousConfig) -> None:
        """Block until all workers have met."""
        size, start = len(worker_group), worker_group.execute_single_async
        ray.get([start(rank, meet, rank, size, backend_config.params) for rank in range(size)])

    def on_shutdown(self, worker_group: Any, backend_config: RendezvousConfig) -> None:
        """Have those that live leave."""
        worker_group.execute(leave)


def meet(rank: int, size: int, params: dict[str, Any]) -> None:
    """In a worker: meet the others, with the ranks that Ray has given."""
    handler = get_rendezvous_handler(
        RendezvousParameters(**params, min_nodes=size, max_nodes=size, rank_hint=rank)
    )
    handlers.append(handler)
    info = handler.next_rendezvous()
    store = as_torch_store(info.store)
    dist.init_process_group("gloo", store=store, rank=info.rank, world_size=info.world_size)


def leave() -> None:
    """In a worker."""
    while handlers:
        handlers.pop().leave()


def train() -> None:
    """What users write."""

    def total(value: int) -> float:
        """Sum over all."""
        summed = torch.tensor([float(value)])
        dist.all_reduce(summed)
        return summed.item()

    work(ray.train.get_context().get_world_rank(), dist.get_world_size(), total)


def main(path: str, conf: str) -> None:
    """Train with two workers."""
    # By default Ray waits for its daemon for 30 s, and its workers leave the processors to all others.
    busy = {"RAY_raylet_start_wait_time_s": "300", "RAY_worker_niceness": "0"}
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", **busy}
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        _temp_dir=os.environ["FOLDER"],
    )
    options = dict(pair.split("=") for pair in conf.split(","))
    TorchTrainer(
        train,
        torch_config=RendezvousConfig(
            backend="sqlite", endpoint=path, run_id="job", local_addr="127.0.0.1", **options
        ),
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(storage_path=os.environ["FOLDER"], failure_config=FailureConfig(max_failures=9)),
    ).fit()
    for log in Path(os.environ["FOLDER"]).glob("session_latest/logs/train/ray-train-app-worker-*.log"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        print("logged", *(line["rdzv_event"] for line in lines if "rdzv_event" in line))


if __name__ == "__main__":
    from frameworks.programs import rayed

    rayed.main(*sys.argv[1:])
