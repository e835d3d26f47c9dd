"""PyTorch, with nothing but what the environment says."""

import torch
import torch.distributed as dist

from frameworks.programs.work import work


def total(value: int) -> float:
    """Sum over all."""
    summed = torch.tensor([float(value)])
    dist.all_reduce(summed)
    return summed.item()


def main() -> None:
    """Work together."""
    dist.init_process_group("gloo")
    work(dist.get_rank(), dist.get_world_size(), total)


if __name__ == "__main__":
    main()
