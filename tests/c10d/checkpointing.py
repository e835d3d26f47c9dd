"""A training loop that saves its work on SIGTERM, and reads through the workers of torch's data loader.

python checkpointing.py fork|spawn CHECKPOINT
"""

import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

stops: list[int] = []


class Endless(IterableDataset):
    def __iter__(self) -> Any:
        while True:
            yield torch.zeros(1)


def main(context: str, checkpoint: str) -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: stops.append(number))
    batches = DataLoader(Endless(), batch_size=4, num_workers=2, multiprocessing_context=context)
    for step, _ in enumerate(batches):
        if step == 3:
            print("trains", flush=True)
        if stops:
            # After the signal a few more batches are needed, as for the rest of a step.
            stops.append(step)
        if len(stops) > 8:
            with Path(checkpoint).open("a") as file:
                file.write(f"{step}\n")
            print("saved", flush=True)
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
