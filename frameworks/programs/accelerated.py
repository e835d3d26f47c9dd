"""Hugging Face's Accelerator."""

import torch
from accelerate import Accelerator

from frameworks.programs.work import work

if __name__ == "__main__":
    accelerator = Accelerator(cpu=True)

    def total(value: int) -> float:
        """Sum over all."""
        return float(accelerator.reduce(torch.tensor([float(value)]), "sum").item())

    work(accelerator.process_index, accelerator.num_processes, total)
