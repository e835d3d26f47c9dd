"""DeepSpeed's communication, over gloo."""

import deepspeed
import torch

from frameworks.programs.work import work

if __name__ == "__main__":
    deepspeed.init_distributed("gloo")

    def total(value: int) -> float:
        """Sum over all."""
        summed = torch.tensor([float(value)])
        deepspeed.comm.all_reduce(summed)
        return summed.item()

    work(deepspeed.comm.get_rank(), deepspeed.comm.get_world_size(), total)
