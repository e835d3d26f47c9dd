"""What the agents of a draining test run: the README's training, and what the names in it mean.

python saving.py FOLDER
"""

import json
import os
import re
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

FOLDER = Path(sys.argv[1])
README = Path(__file__).parents[2] / "rendezvous-c10d" / "README.md"


def tell(event: str, **details: object) -> None:
    """Print one line, as ``train.py`` does."""
    place = {"address": os.environ["AGENT_ADDRESS"], "rank": dist.get_rank(), "world": dist.get_world_size()}
    os.write(1, json.dumps({"event": event, **place, **details}).encode() + b"\n")


def save_checkpoint(step: int) -> None:
    """Say at which step."""
    tell("saved", step=step)


def train(step: int) -> None:
    """Make a step with the others; the first one tells of it."""
    if step == 0:
        tell("start", master=f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}")
    stop = torch.tensor([float((FOLDER / "stop").exists())])
    dist.all_reduce(stop)
    if stop.item():
        tell("end", weights=[])
        sys.exit()
    time.sleep(0.01)  # what a larger model would compute


section = README.read_text().partition("## When an agent must go")[2]
example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
assert example
exec(example[1], {"first": 0, "last": sys.maxsize, "save_checkpoint": save_checkpoint, "train": train})
