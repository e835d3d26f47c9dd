"""A worker as a process: joins, forms a process group over the store of the round, and uses it.

python -m tests.c10d.worker BACKEND ENDPOINT RUN_ID WORLD_SIZE OPTIONS
"""

import json
import sys
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from rendezvous_c10d import as_torch_store
from rendezvous_core import RendezvousParameters, get_rendezvous_handler


def main(backend: str, endpoint: str, run_id: str, size: str, options: str) -> None:
    nodes = int(size)
    params = RendezvousParameters(backend, endpoint, run_id, nodes, nodes, **json.loads(options))
    handler = get_rendezvous_handler(params)
    info = handler.next_rendezvous()
    # What c10d hands out is a torch store already.
    store: Any = info.store if backend == "c10d" else as_torch_store(info.store)
    dist.init_process_group(
        "gloo", store=store, rank=info.rank, world_size=info.world_size, timeout=timedelta(seconds=60)
    )
    summed = torch.tensor([info.rank + 1])
    dist.all_reduce(summed)
    gathered: list[Any] = [None] * nodes
    dist.all_gather_object(gathered, {"rank": info.rank, "text": "x" * info.rank})
    dist.barrier()
    ends = dist.new_group([0, nodes - 1])
    summed_by_ends = torch.tensor([info.rank])
    if info.rank in (0, nodes - 1):
        dist.all_reduce(summed_by_ends, group=ends)
    dist.monitored_barrier(timeout=timedelta(seconds=60))
    told = {"sum": summed.item(), "gathered": gathered, "ends": summed_by_ends.item()}
    print(json.dumps(told), flush=True)
    dist.destroy_process_group()
    handler.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
