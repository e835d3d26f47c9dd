"""torchft's Manager: it connects to the TCPStore at MASTER_ADDR, which the agent of rank 0 hosts."""

import os

import torch
import torch.distributed as dist
from torchft import Manager, ProcessGroupGloo
from torchft.coordination import LighthouseServer

from frameworks.programs.work import work

if __name__ == "__main__":
    rank = int(os.environ["RANK"])
    dist.init_process_group("gloo")
    lighthouse = LighthouseServer(bind="127.0.0.1:0", min_replicas=1) if rank == 0 else None
    manager = Manager(
        pg=ProcessGroupGloo(),
        load_state_dict=lambda state: None,
        state_dict=lambda: {},
        min_replica_size=1,
        use_async_quorum=False,
        lighthouse_addr=lighthouse.address() if lighthouse else None,
        replica_id="group",
        hostname="127.0.0.1",
    )

    def total(value: int) -> float:
        """Sum over all, in a step that the manager commits."""
        manager.start_quorum()
        summed = torch.tensor([float(value)])
        manager.allreduce(summed).wait()
        dist.all_reduce(summed)
        if not manager.should_commit():
            raise SystemExit("the step was not committed")
        return summed.item()

    work(rank, dist.get_world_size(), total)
    manager.shutdown(wait=False)
